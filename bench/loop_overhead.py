"""What learning costs the requests it learns from: CPU of a gateway per chat with audits, exploration and labels.

    python bench/loop_overhead.py [--rounds N] [--requests N] [--out FILE] [--show FILE]

Gateways stand side by side, alike but for one thing each, and get the same load in turn, in an order that changes every
round. CPU is of the whole process, from before its load until its rows and labels are written, less what it takes when
idle. Ratios are to `plain` in the same round, the median over the rounds with a bootstrap interval; `plain, again` is
the same gateway twice and says what noise is.

Of audits the part on the request's way (drawing, keeping, queueing) is told from their own work by a gateway whose
audits are drawn like all others and then refused by a budget that is too small for any; the rest is the other answer,
two judge calls, four rows and two labels, off the way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop
from load import request
from served import KEY, Process, environment, folder, free_port, process, signalbox, wait_for

CALLERS: Final = 8
SETTLE_SECONDS: Final = 2.0
"""Rows are written after 0.2 s, labels and audits looked for every second."""
RATE: Final = 0.1
JUDGED: Final = '{"a": 7, "b": 6}'

POLICY: Final = """
version: 1
models:
  small: {{tier: small, model: s, base_url: "{url}/v1", price: {{input: 0.1, output: 0.2}}}}
  large: {{tier: large, model: l, base_url: "{url}/v1", price: {{input: 2.5, output: 10}}}}
  weigher: {{tier: large, model: w, base_url: "{url}/v1", price: {{input: 2.5, output: 10}}}}
default: small
routes:
  auto:
    baseline: large
    {more}
    rules:
      - {{name: private stays local, when: "size(ask.private) > 0", use: small, fallback: []}}
      - {{name: easy, when: "complexity < 0.35", use: small, fallback: [large]}}
      - {{name: hard, use: large, fallback: [small]}}
"""
CACHE: Final = "cache: {exact: {ttl: 1h}}"
DEAF: Final = """
import sys, router.app
class NoHints:
    def __init__(self, labels): self.waiting = 0
    def notice(self, *given): pass
    async def poll(self): pass
router.app.Hints = NoHints
from router.cli import main
main()
"""
"""Serves without implicit labels, which no setting turns off."""


@dataclass(frozen=True)
class Arm:
    """One gateway. more: of its route. kind: of `load.request`. against: whose CPU a chat its own is set against."""

    more: str = CACHE
    kind: str = "chat"
    hints: bool = True
    against: str = "plain"


ARMS: Final = {
    "plain": Arm(),
    "plain, again": Arm(),
    "explore": Arm(f"{CACHE}\n    explore: {{rate: 0.02, band: 1.0}}"),
    "audits, drawn from and none taken": Arm(f"{CACHE}\n    audit: {{rate: 1.0e-9, judge: weigher}}"),
    "audits of a tenth, on the request's way": Arm(
        f"{CACHE}\n    audit: {{rate: {RATE}, judge: weigher, budget_per_day: 1.0e-9}}"
    ),
    "audits of a tenth, with their own work": Arm(
        f"{CACHE}\n    audit: {{rate: {RATE}, judge: weigher, budget_per_day: 1000000}}"
    ),
    "no implicit labels": Arm(hints=False),
    "the same ask again and again, no implicit labels": Arm("", kind="hit", hints=False),
    "the same ask again and again": Arm("", kind="hit", against="the same ask again and again, no implicit labels"),
}


class Gateway:
    """A running gateway and its CPU clock."""

    def __init__(self, arm: Arm, port: int, server: Process):
        self.arm, self.server = arm, server
        self.url = f"http://127.0.0.1:{port}"
        [only] = server.tree
        self._clock = (~only.pid << 3) | 2  # clock_getcpuclockid(3): to the nanosecond, where /proc counts ticks

    def cpu(self) -> float:
        return time.clock_gettime(self._clock)

    def metric(self, name: str) -> float:
        """One figure of the scrape page."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as page:
            found = re.search(rf"^{re.escape(name)} ([\d.e+]+)$", page.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def audits(self, result: str) -> float:
        return self.metric(f'signalbox_audits_total{{result="{result}"}}')


@contextmanager
def models() -> Iterator[str]:
    """A stand-in for all models in a process of its own: it says a hundred words, or weighs where it is asked to."""
    port = free_port()
    program = f"""
import uvloop
from router.upstream.standin import Reply, StandIn
weighs, says = Reply({JUDGED!r}), Reply("words " * 100, pieces=100)
uvloop.run(StandIn("m", lambda question: weighs if question[0] == "{{" else says).run({port}))
"""
    with process([sys.executable, "-c", program]) as server:
        wait_for(f"http://127.0.0.1:{port}/v1/models", server)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def gateways(upstream: str, home: Path) -> Iterator[dict[str, Gateway]]:
    with ExitStack() as parts:
        running = {}
        for number, (name, arm) in enumerate(ARMS.items()):
            place, port = home / str(number), free_port()
            env = environment(place, SIGNALBOX_LOG_LEVEL="warning")
            policy = place / "policy.yaml"
            policy.write_text(POLICY.format(url=upstream, more=arm.more))
            command = signalbox(policy, port)
            if not arm.hints:
                command = [sys.executable, "-c", DEAF, *command[1:]]
            server = parts.enter_context(process(command, env=env))
            wait_for(f"http://127.0.0.1:{port}/readyz", server)
            running[name] = Gateway(arm, port, server)
        yield running


async def asked(url: str, count: int, body: Callable[[str, int], bytes]) -> list[str]:
    """Sends so many requests by CALLERS at once; the ids of the answers. All must be answered well."""
    place = urlsplit(url)
    numbers, ids = iter(range(count)), []

    async def caller() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1 << 24)
        for number in numbers:
            writer.write(body(place.netloc, number))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            assert head[9:12] in ("200", "202"), head
            await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
            ids.append(head.split("x-request-id:")[1].split("\r\n")[0].strip())
        writer.close()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return ids


async def chats(gateway: Gateway, count: int) -> list[str]:
    kind = gateway.arm.kind
    return await asked(gateway.url, count, lambda host, _: request(host, "/v1/chat/completions", kind, KEY, "auto"))


async def feedback(gateway: Gateway, ids: Sequence[str]) -> None:
    """A thumb for each."""

    def body(host: str, number: int) -> bytes:
        raw = json.dumps({"request_id": ids[number], "thumb": "up" if number % 4 else "down"}).encode()
        return (
            f"POST /v1/feedback HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {KEY}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        ).encode() + raw

    await asked(gateway.url, len(ids), body)


async def rounds(running: dict[str, Gateway], count: int, requests: int) -> dict[str, list[float]]:
    """CPU milliseconds a chat, by gateway: a figure for each round."""
    order = list(running)
    for gateway in running.values():
        await chats(gateway, requests)
    await asyncio.sleep(SETTLE_SECONDS)
    idle = await idles(running)
    found: dict[str, list[float]] = {name: [] for name in running}
    for number in range(count):
        random.Random(number).shuffle(order)
        began, before = time.perf_counter(), {name: running[name].cpu() for name in order}
        for name in order:
            await chats(running[name], requests)
        await asyncio.sleep(SETTLE_SECONDS)
        seconds = time.perf_counter() - began
        for name in order:
            spent = running[name].cpu() - before[name] - idle[name] * seconds
            found[name].append(spent * 1000 / requests)
        print(f"round {number + 1} of {count}, {seconds:.1f} s", file=sys.stderr, flush=True)
    return found


async def idles(running: dict[str, Gateway], seconds: float = 5.0) -> dict[str, float]:
    """CPU seconds a second of gateways that nobody asks."""
    before = {name: gateway.cpu() for name, gateway in running.items()}
    await asyncio.sleep(seconds)
    return {name: (gateway.cpu() - before[name]) / seconds for name, gateway in running.items()}


async def thumbs(gateway: Gateway, count: int, requests: int) -> dict[str, list[float]]:
    """CPU milliseconds a chat and a thumb, in turn on the same gateway."""
    found: dict[str, list[float]] = {"chat": [], "thumb": []}
    for _ in range(count):
        before = gateway.cpu()
        ids = await chats(gateway, requests)
        await asyncio.sleep(1.0)
        between = gateway.cpu()
        await feedback(gateway, ids)
        await asyncio.sleep(1.0)
        found["chat"].append((between - before) * 1000 / requests)
        found["thumb"].append((gateway.cpu() - between) * 1000 / requests)
    return found


def ratio(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Median of the rounds' ratios, and the 2.5 and 97.5 per cent points of it over resampled rounds."""
    ratios = [value / other for value, other in zip(values, base, strict=True)]
    chance = random.Random(0)
    again = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(2000))
    return [round(figure, 4) for figure in (statistics.median(ratios), again[49], again[1949])]


def told(running: dict[str, Gateway], found: dict[str, list[float]], audits: dict[str, float]) -> dict[str, Any]:
    arms = {
        name: {
            "cpu_ms": round(statistics.median(values), 4),
            "against": running[name].arm.against,
            "ratio": ratio(values, found[running[name].arm.against]),
            "rounds": [round(value, 4) for value in values],
        }
        for name, values in found.items()
    }
    whole, way = (found[f"audits of a tenth, {part}"] for part in ("with their own work", "on the request's way"))
    chats_asked = (len(whole) + 1) * audits.pop("requests")  # with those that warmed the gateways up
    own = [
        (with_work - without) * chats_asked / audits["labelled"] for with_work, without in zip(whole, way, strict=True)
    ]
    audits["cpu_ms_each"] = round(statistics.median(own), 3)
    return {"arms": arms, "audits": audits | {"in_chats": ratio(own, found["plain"])}}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=Path, help="print the table of an earlier run")
    options = parser.parse_args()
    if options.show:
        print(table(json.loads(options.show.read_text("utf-8"))))
        return
    with models() as upstream, folder() as home, gateways(upstream, home) as running:
        whole, refused = (
            running[f"audits of a tenth, {part}"] for part in ("with their own work", "on the request's way")
        )
        warm = {name: whole.audits(name) for name in ("labelled", "overflowed", "failed", "unread")}
        found = await rounds(running, options.rounds, options.requests)
        audits = {name: whole.audits(name) - before for name, before in warm.items()}
        audits |= {"requests": options.requests, "refused_on_the_way": refused.audits("over_budget")}
        results = {"requests_a_round": options.requests, **told(running, found, audits)}
        posts = await thumbs(running["plain"], max(5, options.rounds // 4), options.requests)
        results["thumb"] = {
            "cpu_ms": round(statistics.median(posts["thumb"]), 4),
            "in_chats": ratio(posts["thumb"], posts["chat"]),
        }
    print(table(results))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def table(results: dict[str, Any]) -> str:
    """As the page of benchmarks shows it."""
    lines = ["| gateway | CPU a chat, ms | set against | ratio |", "|---|---|---|---|"]
    for name, arm in results["arms"].items():
        if arm["against"] != name:
            lines.append(f"| {name} | {arm['cpu_ms']:.3f} | {arm['against']} | {_spread(arm['ratio'])} |")
    audit, thumb = results["audits"], results["thumb"]
    lines.append(
        f"| own work of one audit, off the way | {audit['cpu_ms_each']:.3f} | plain | {_spread(audit['in_chats'])} |"
    )
    lines.append(f"| a thumb, `POST /v1/feedback` | {thumb['cpu_ms']:.3f} | plain | {_spread(thumb['in_chats'])} |")
    return "\n".join(lines)


def _spread(figures: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*figures)


if __name__ == "__main__":
    uvloop.run(main())
