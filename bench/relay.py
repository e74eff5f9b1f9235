"""What reaching upstream costs in CPU: the stream tap per chunk, and the relay per call beside a general HTTP client.

    python bench/relay.py [--rounds N] [--upstream URL]

The upstream is the stand-in in a process of its own, so its CPU is not counted. Kernel time of this process is: most
of a call on the loopback is the sending itself. Each figure is the best of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import aiohttp
import orjson
import uvloop

from router.domain import ModelSpec
from router.upstream.contract import Call
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.sse import StreamTap

CHUNKS_PER_STREAM = 100
CALLERS = 16
CHUNK = (
    b'data: {"id":"chatcmpl-Bq1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini",'
    b'"service_tier":"default","system_fingerprint":"fp_34a54ae93c","choices":[{"index":0,"delta":{"content":" word"},'
    b'"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aB3xY"}\n\n'
)
STAND_IN = f"""
import uvloop
from router.upstream.standin import Reply, StandIn
stand_in = StandIn("m", lambda question: Reply("words " * 100, pieces={CHUNKS_PER_STREAM}))
uvloop.run(stand_in.run(0, lambda url: print(url, flush=True)))
"""


def microseconds(work: Callable[[], object], times: int) -> float:
    """CPU of one run of `work`, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / times * 1e6)
    return best


def bench_tap() -> None:
    for burst in (1, 20):
        for strip in (True, False):
            tap = StreamTap(strip_usage=strip, collect_limit=0)
            chunks = CHUNK * burst
            cost = microseconds(partial(tap.feed, chunks), 20_000 // burst) / burst
            print(f"tap, {burst:2} chunks at once, usage {'stripped' if strip else 'kept    '}: {cost:6.2f} us a chunk")


@contextmanager
def stand_in() -> Iterator[str]:
    child = subprocess.Popen([sys.executable, "-c", STAND_IN], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip()
    finally:
        child.terminate()
        child.wait()


async def bench_relay(url: str, rounds: int) -> None:
    """Sixteen callers at once, as plain answers and as streams: ours, and what a general client costs for the same."""
    relay = OpenAIRelay()
    model = ModelSpec("small", "small", "m", base_url=f"{url}/v1", api_key="sk-bench")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for stream in (False, True):
            message = {"role": "user", "content": f"hello chunks={CHUNKS_PER_STREAM}"}
            body = orjson.dumps({"model": "m", "messages": [message], "stream": stream})
            call = Call(model, body, stream, "req_bench", {})

            async def ours(call: Call = call) -> int:
                answer = await relay.open(call)
                events = sum([chunk.count(b"\n\n") async for chunk in answer.chunks()])
                await answer.aclose()
                return events

            async def general(call: Call = call) -> int:
                headers = {"authorization": "Bearer sk-bench", "content-type": "application/json"}
                async with session.post(f"{url}/v1/chat/completions", data=call.body, headers=headers) as response:
                    if not call.stream:
                        orjson.loads(await response.read())
                        return 0
                    return sum([chunk.count(b"\n\n") async for chunk in response.content.iter_any()])

            for name, once in (("relay", ours), ("bare aiohttp", general)):
                cost, events = await microseconds_among(CALLERS, once, rounds)
                chunks = f", {cost / events:5.2f} us a chunk" if events else ""
                print(f"{name:12} {'streamed' if stream else 'plain   '}: {cost:6.1f} us a call{chunks}")
    await relay.aclose()


async def microseconds_among(callers: int, once: Callable[[], Awaitable[int]], rounds: int) -> tuple[float, float]:
    """CPU of one call where so many go on at once, the best of five rounds; and what a call returns."""

    async def caller() -> int:
        return sum([await once() for _ in range(max(1, rounds // callers))])

    best, each = float("inf"), 0.0
    for _ in range(5):
        began = time.process_time()
        counts = await asyncio.gather(*(caller() for _ in range(callers)))
        calls = callers * max(1, rounds // callers)
        best, each = min(best, (time.process_time() - began) / calls * 1e6), sum(counts) / calls
    return best, each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=800)
    parser.add_argument("--upstream", help="URL of a running server instead of the stand-in, without /v1")
    arguments = parser.parse_args()
    bench_tap()
    with nullcontext(arguments.upstream) if arguments.upstream else stand_in() as url:
        uvloop.run(bench_relay(url, arguments.rounds))


if __name__ == "__main__":
    main()
