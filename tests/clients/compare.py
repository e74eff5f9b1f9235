"""Runs one client both ways, and once more out of the cache, and gathers what differs: results, bytes, ledger rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.clients import gateway, laws
from tests.clients.asking import CANNOT_READ, READS_PIECES, leaves, run_client, tasks_for
from tests.clients.environments import Environment
from tests.clients.replay import named_in
from tests.clients.scenarios import SCENARIOS
from tests.clients.wire import Exchange, Wire


@dataclass(frozen=True)
class House:
    """Where everything is. far: the recorder between gateway and upstream."""

    replay: tuple[str, int]
    gateway: tuple[str, int]
    far: Wire


@dataclass
class Findings:
    """What was compared for one client: counts and faults by scenario, and how many answers the cache gave."""

    client: str
    compared: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    hits: int = 0

    def judge(self, scenario: str | None, what: str, found: Iterable[str]) -> None:
        """Counts one comparison and keeps its faults."""
        name = scenario or "?"
        self.compared[name] += 1
        self.faults.setdefault(name, []).extend(f"{name}, {what}: {fault}" for fault in found)


async def compare(environment: Environment, house: House) -> Findings:
    """One client, four times: directly, through a route, and twice through a route with a cache."""
    findings, tasks = Findings(environment.name), tasks_for(environment.name)
    near, through, kept = Wire(*house.replay), Wire(*house.gateway), Wire(*house.gateway)
    async with near.serve() as direct_url, through.serve() as through_url, kept.serve() as kept_url:
        direct = await run_client(environment, direct_url, gateway.ROUTE, tasks)
        relayed = await run_client(environment, through_url, gateway.ROUTE, tasks)
        await run_client(environment, kept_url, gateway.KEPT, tasks)
        again = await run_client(environment, kept_url, gateway.KEPT, tasks)
    for task in tasks:
        about = task["id"]
        name, mode = about.split("/")
        fails = SCENARIOS[name].outcome != "ok" or (environment.name, about) in CANNOT_READ
        findings.judge(name, f"{mode} direct", laws.faults_of_reading(direct[about], fails=fails))
        findings.judge(name, f"{mode} through", laws.faults_of_results(direct[about], relayed[about]))
        if (environment.name, about) not in READS_PIECES:
            stored = (direct[about]["parsed"], again[about]["parsed"])
            findings.judge(name, f"{mode} from the cache", laws.faults_of_results(*stored))
    _compare_bytes(findings, near.exchanges(), through.exchanges(), kept.exchanges(), house.far)
    rows = await gateway.outcomes("http://{}:{}".format(*house.gateway))
    _compare_ledger(findings, [*through.exchanges(), *kept.exchanges()], rows)
    findings.hits = sum(map(_is_hit, kept.exchanges()))
    shown = gateway.KEY.encode() in through.bytes_down() + kept.bytes_down()
    findings.judge("words", "bytes", ["the upstream's key came back"] if shown else [])
    return findings


def _compare_bytes(
    findings: Findings, direct: list[Exchange], through: list[Exchange], kept: list[Exchange], far: Wire
) -> None:
    """Every exchange by the laws, but for streams out of the cache, and that the client asked the same both ways."""
    behind = {seen.request.headers.get("x-request-id"): seen for seen in far.exchanges()}
    for way, exchanges in (("direct", direct), ("through", through), ("kept", kept)):
        for seen in exchanges:
            name = named_in(seen.request.body)
            if not (_is_hit(seen) and laws.is_stream(seen.request.body)):
                left = leaves(findings.client, name)
                findings.judge(name, f"answer bytes {way}", laws.faults_of_answer(seen, SCENARIOS, left=left))
            if way != "direct" and not _is_hit(seen):
                met = behind.get(seen.answer.headers.get("x-request-id"))
                faults = laws.faults_of_relay(seen, met, model=gateway.MODEL, key=gateway.KEY)
                findings.judge(name, f"request bytes {way}", faults)
    asked = [Counter(seen.request.body for seen in exchanges) for exchanges in (direct, through)]
    for body in (asked[0] - asked[1]) + (asked[1] - asked[0]):
        findings.judge(named_in(body), "asking", [f"asked one way only: {body[:200]!r}"])


def _compare_ledger(findings: Findings, through: list[Exchange], rows: dict[str, str]) -> None:
    """Every request has a row that calls it what it was. Callers who hang up in the middle may be seen leaving."""
    for seen in through:
        name = named_in(seen.request.body) or "?"
        expected = SCENARIOS[name].outcome
        got = rows.get(seen.answer.headers.get("x-request-id", ""), "no row")
        fine = got == expected or (got == "client_closed" and leaves(findings.client, name))
        findings.judge(name, "ledger", [] if fine else [f"{got} instead of {expected}"])


def _is_hit(seen: Exchange) -> bool:
    return seen.answer.headers.get("x-signalbox-cache") == "hit"
