"""What reaching upstream costs in CPU: the stream tap per chunk, and the relay per call, plain and streamed.

    python bench/relay.py [--rounds N]

The upstream is the stand-in in a process of its own, so its CPU is not counted. Kernel time of this process is: most
of a call on the loopback is the sending itself. Each figure is the best of several rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

import orjson
import uvloop

from router.domain import ModelSpec
from router.upstream.contract import Call
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.sse import StreamTap

CHUNKS_PER_STREAM = 40
CHUNK = (
    b'data: {"id":"chatcmpl-Bq1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini",'
    b'"service_tier":"default","system_fingerprint":"fp_34a54ae93c","choices":[{"index":0,"delta":{"content":" word"},'
    b'"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aB3xY"}\n\n'
)
STAND_IN = f"""
import uvloop
from router.upstream.standin import Reply, StandIn
stand_in = StandIn("m", lambda question: Reply("words " * 60, pieces={CHUNKS_PER_STREAM}))
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


async def microseconds_async(work: Callable[[], Awaitable[object]], times: int) -> float:
    """The same for a coroutine function."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            await work()
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
    relay = OpenAIRelay()
    model = ModelSpec("small", "small", "m", base_url=f"{url}/v1", api_key="sk-bench")
    for stream in (False, True):
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
        call = Call(model, orjson.dumps(body), stream, "req_bench", {})

        async def once(call: Call = call) -> None:
            answer = await relay.open(call)
            async for _ in answer.chunks():
                pass
            await answer.aclose()

        cost = await microseconds_async(once, rounds)
        print(f"relay, {'streamed' if stream else 'plain   '}: {cost:6.0f} us a call")
    await relay.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args().rounds
    bench_tap()
    with stand_in() as url:
        uvloop.run(bench_relay(url, rounds))


if __name__ == "__main__":
    main()
