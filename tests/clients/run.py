"""Asks every answer with every client, directly and through Signalbox, and shows where the two differ.

`python -m tests.clients.run [CLIENT ...]`: 0 when nothing differs, 1 when something does. Each client runs as a process
in an environment of its own; bytes are recorded before the clients and behind the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients import gateway, laws
from tests.clients.check import check
from tests.clients.environments import Environment, EnvironmentFailed, make
from tests.clients.replay import ASKED_BY, Replay, named_in
from tests.clients.scenarios import SCENARIOS
from tests.clients.wire import Exchange, Wire

_ALL = ("plain", "stream", "stream-usage")
_ALWAYS_COUNTS = ("plain", "stream-usage")
CLIENTS = {
    "openai_python": _ALL,
    "openai_node": _ALL,
    "langchain": _ALL,
    "llama_index": _ALL,
    "pydantic_ai": _ALWAYS_COUNTS,
    "instructor": _ALL,
    "llm": _ALWAYS_COUNTS,
    "ai_sdk": _ALL,
}
"""Folder of each client, and the ways in which it can ask."""
_FAIL = ("fails-midway", "refused-request")
"""Answers that are errors: every client has to raise."""
_CANNOT = {
    ("instructor", "parallel-tools/stream"): "it reads one tool call of a stream",
    ("instructor", "parallel-tools/stream-usage"): "it reads one tool call of a stream",
}
"""What a client cannot read even directly; all else it has to, so that equal failures do not pass for fidelity."""
_OTHERWISE_CUT = {
    ("openai_node", "reasoning/stream"): "it keeps the last piece of a field that it does not know",
    ("openai_node", "reasoning/stream-usage"): "it keeps the last piece of a field that it does not know",
}
"""What a client makes of a stream's pieces one by one: a stored answer comes in other pieces than the first time."""
_CLIENT_SECONDS = 300


class ClientFailed(Exception):
    """A client's script broke before it could tell anything."""


@dataclass
class Findings:
    """What was compared for one client: `compared` and `faults` by scenario, and how many answers the cache gave."""

    client: str
    compared: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    hits: int = 0

    def judge(self, scenario: str, what: str, found: list[str]) -> None:
        self.compared[scenario] += 1
        self.faults.setdefault(scenario, []).extend(f"{what}: {fault}" for fault in found)


def tasks_for(client: str) -> list[dict[str, str]]:
    """What a client is given to do. Client and mode stand in the prompt, so that a cache keeps each apart."""
    return [
        {
            "id": f"{name}/{mode}",
            "prompt": f"{ASKED_BY.format(name)} Asked by {client}: {mode}.",
            "kind": answer.kind,
            "mode": mode,
        }
        for name, answer in SCENARIOS.items()
        for mode in CLIENTS[client]
        if mode != "plain" or answer.plain is not None
        if mode == "plain" or answer.choices or answer.status != 200
    ]


async def run_client(environment: Environment, url: str, model: str, tasks: list[dict[str, str]]) -> dict[str, Any]:
    """What the client told of each task. Raises ClientFailed when its script breaks."""
    process = await asyncio.create_subprocess_exec(
        *environment.command,
        env={**os.environ, **environment.variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    work = json.dumps({"base_url": f"{url}/v1", "model": model, "tasks": tasks}).encode()
    try:
        out, err = await asyncio.wait_for(process.communicate(work), _CLIENT_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise ClientFailed(f"{environment.name} broke: {err.decode()[-2000:]}")
    told: dict[str, Any] = json.loads(out.decode().replace(url, "URL").replace(model, "MODEL"))
    return told


async def compare(environment: Environment, house: House) -> Findings:
    """One client, four times: directly, through a route, and twice through a route with a cache."""
    findings, tasks = Findings(environment.name), tasks_for(environment.name)
    near, through, kept = Wire(*house.replay), Wire(*house.gateway), Wire(*house.gateway)
    async with near.serve() as direct_url, through.serve() as through_url, kept.serve() as kept_url:
        direct, relayed = await asyncio.gather(
            run_client(environment, direct_url, gateway.ROUTE, tasks),
            run_client(environment, through_url, gateway.ROUTE, tasks),
        )
        await run_client(environment, kept_url, gateway.KEPT, tasks)
        again = await run_client(environment, kept_url, gateway.KEPT, tasks)
    for task in tasks:
        name, about = task["id"].split("/")[0], task["id"]
        fails = name in _FAIL or (environment.name, about) in _CANNOT
        findings.judge(name, f"{about} direct", list(laws.faults_of_reading(direct[about], fails=fails)))
        findings.judge(name, about, list(laws.faults_of_results(direct[about], relayed[about])))
        if (environment.name, about) not in _OTHERWISE_CUT:
            stored = (direct[about]["parsed"], again[about]["parsed"])
            findings.judge(name, f"{about} from the cache", list(laws.faults_of_results(*stored)))
    compare_bytes(findings, near.exchanges(), through.exchanges(), house.far)
    await compare_ledger(findings, [*through.exchanges(), *kept.exchanges()], house.gateway)
    findings.hits = sum(seen.answer.headers.get("x-signalbox-cache") == "hit" for seen in kept.exchanges())
    if gateway.KEY.encode() in through.bytes_down() + kept.bytes_down():
        findings.judge("words", "bytes", ["the upstream's key came back"])
    return findings


def compare_bytes(findings: Findings, direct: list[Exchange], through: list[Exchange], far: Wire) -> None:
    """Every exchange of both ways by the laws, and that the client asked the same of both."""
    by_id = {seen.request.headers.get("x-request-id"): seen for seen in far.exchanges()}
    leaves = {about.split("/")[0] for client, about in _CANNOT if client == findings.client}
    for seen in direct:
        left = named_in(seen.request.body) in leaves
        findings.judge(*_named(seen, "direct"), list(laws.faults_of_answer(seen, SCENARIOS, left=left)))
    for seen in through:
        left = named_in(seen.request.body) in leaves
        behind = by_id.get(seen.answer.headers.get("x-request-id"))
        relay = laws.faults_of_relay(seen, behind, model=gateway.MODEL, key=gateway.KEY)
        findings.judge(*_named(seen, "bytes"), [*laws.faults_of_answer(seen, SCENARIOS, left=left), *relay])
    asked = [Counter(seen.request.body for seen in exchanges) for exchanges in (direct, through)]
    for body in (asked[0] - asked[1]) + (asked[1] - asked[0]):
        findings.judge(named_in(body) or "?", "bytes", [f"asked once only: {body[:200]!r}"])


async def compare_ledger(findings: Findings, through: list[Exchange], address: tuple[str, int]) -> None:
    """Every request has one row, which calls it what it was. Callers who hang up in the middle may be seen leaving."""
    leaves = {about.split("/")[0] for client, about in _CANNOT if client == findings.client}
    rows = await gateway.outcomes("http://{}:{}".format(*address))
    for seen in through:
        name = named_in(seen.request.body) or "?"
        expected = {"refused-request": "caller_error", "fails-midway": "upstream_error"}.get(name, "ok")
        got = rows.get(seen.answer.headers.get("x-request-id", ""), "no row")
        fine = got == expected or (name in leaves and got == "client_closed")
        findings.judge(name, f"{name} ledger", [] if fine else [f"{got} instead of {expected}"])


def _named(seen: Exchange, what: str) -> tuple[str, str]:
    name = named_in(seen.request.body) or "?"
    return name, f"{name} {what}"


@dataclass(frozen=True)
class House:
    """Where everything is. far: the recorder between gateway and upstream."""

    replay: tuple[str, int]
    gateway: tuple[str, int]
    far: Wire


async def run(names: list[str]) -> list[Findings]:
    """All comparisons of these clients, one client after the other."""
    with tempfile.TemporaryDirectory(prefix="signalbox-clients-") as folder:
        async with Replay(SCENARIOS).serve() as replay:
            far = Wire(*replay)
            async with far.serve() as far_url, gateway.serving(far_url, Path(folder)) as served:
                house = House(replay, served, far)
                return [await compare(await asyncio.to_thread(make, name), house) for name in names]


def show(all_findings: list[Findings]) -> int:
    """Prints the table, then every fault. Returns how many faults there are."""
    width = max(map(len, SCENARIOS)) + 2
    print(" " * width + "  ".join(f"{findings.client:>13}" for findings in all_findings))
    for name in SCENARIOS:
        cells = []
        for findings in all_findings:
            compared, faults = findings.compared[name], len(findings.faults.get(name, []))
            cells.append("-" if not compared else f"{faults} differ" if faults else f"{compared} same")
        print(name.ljust(width) + "  ".join(f"{cell:>13}" for cell in cells))
    print("from the cache".ljust(width) + "  ".join(f"{findings.hits:>13}" for findings in all_findings))
    faults = [
        (findings.client, fault) for findings in all_findings for found in findings.faults.values() for fault in found
    ]
    for client, fault in faults:
        print(f"\n{client}: {fault}")
    clean = sum(not any(findings.faults.values()) for findings in all_findings)
    compared = sum(findings.compared.total() for findings in all_findings)
    print(f"\nclients {clean}/{len(all_findings)}, {compared} comparisons, {len(faults)} differences")
    return len(faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("client", nargs="*", choices=[[], *CLIENTS], help="only these")
    names = parser.parse_args().client or list(CLIENTS)
    try:
        asyncio.run(check())
        return 1 if show(asyncio.run(run(names))) else 0
    except (ClientFailed, EnvironmentFailed, gateway.GatewayFailed) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
