"""What the cache costs in CPU: keys, both kinds of cache (hit and miss), and the two forms of an answer.

    python bench/cache.py [--redis-url redis://...]

Without a URL a private Redis is started where `redis-server` is on PATH. CPU is this process's own, not Redis's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import orjson
import uvloop

from router.cache.contract import Cache, CachedAnswer
from router.cache.forms import assemble, replay
from router.cache.keys import key_for
from router.cache.memory import MemoryCache
from router.cache.redis_cache import RedisCache
from router.domain import Usage

ROUNDS = 3000
WORDS = "The capital of France is Paris, and it has been for a long time. " * 20


def plain_answer() -> bytes:
    """A plain completion of about 1.5 KB."""
    message = {"role": "assistant", "content": WORDS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    top = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "m", "choices": [choice]}
    return orjson.dumps(top | {"usage": {"prompt_tokens": 9, "completion_tokens": 280, "total_tokens": 289}})


def stream_of(tokens: int) -> bytes:
    """A stream of one chunk a token."""
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    deltas = [({"content": "word "}, None)] * tokens + [({}, "stop")]
    chunks = [top | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def cpu_us(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Microseconds of CPU a call."""
    began = time.process_time()
    for _ in range(rounds):
        call()
    return (time.process_time() - began) / rounds * 1e6


async def async_cpu_us(call: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> float:
    """Microseconds of CPU an awaited call."""
    began = time.process_time()
    for _ in range(rounds):
        await call()
    return (time.process_time() - began) / rounds * 1e6


async def measure_cache(name: str, cache: Cache) -> None:
    """Prints what a hit and a miss cost, one at a time."""
    here, nowhere = os.urandom(32), os.urandom(32)
    await cache.put(here, CachedAnswer(plain_answer(), "small", 0.3, Usage(9, 0, 0, 280), time.time()), 600)
    await asyncio.sleep(0.2)  # the writer of RedisCache runs in the background
    assert await cache.get(here) is not None
    print(f"{name} get, hit: {await async_cpu_us(lambda: cache.get(here)):.1f} us")
    print(f"{name} get, miss: {await async_cpu_us(lambda: cache.get(nowhere)):.1f} us")

    async def one_of_twenty() -> None:
        for _ in range(ROUNDS // 20):
            await cache.get(here)

    began = time.process_time()
    await asyncio.gather(*(one_of_twenty() for _ in range(20)))
    print(f"{name} get, hit, 20 callers at once: {(time.process_time() - began) / ROUNDS * 1e6:.1f} us")


@contextmanager
def private_redis() -> Iterator[tuple[str | None, subprocess.Popen[bytes] | None]]:
    """The URL and process of a Redis of our own, or None where there is none to start."""
    program = shutil.which("redis-server")
    if program is None:
        yield None, None
        return
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        arguments = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}", server
        finally:
            server.terminate()
            server.wait()


async def measure_pause(cache: RedisCache, server: subprocess.Popen[bytes]) -> None:
    """Prints what requests wait when Redis stops answering: the first ones, and those after the breaker opened."""

    async def waited() -> float:
        began = time.perf_counter()
        await cache.get(os.urandom(32))
        return (time.perf_counter() - began) * 1e3

    server.send_signal(signal.SIGSTOP)
    first = await asyncio.gather(*(waited() for _ in range(50)))
    later = [await waited() for _ in range(1000)]
    server.send_signal(signal.SIGCONT)
    print(
        f"redis paused, longest wait of the first 50 at once: {max(first):.1f} ms; of 1000 later: {max(later):.3f} ms"
    )


async def main(redis_url: str | None, server: subprocess.Popen[bytes] | None) -> None:
    """Prints one line a measurement."""
    body = {"model": "auto", "temperature": 0.2, "messages": [{"role": "user", "content": "hello world " * 80}]}
    size = len(orjson.dumps(body))
    print(f"key of a body of {size} bytes: {cpu_us(lambda: key_for(b's' * 32, 't', 'auto', 'd', body)):.1f} us")
    answer, stream = plain_answer(), stream_of(500)
    print(f"replay of {len(answer)} bytes as a stream: {cpu_us(lambda: replay(answer, True)):.1f} us")
    print(f"assemble of a stream of 500 chunks: {cpu_us(lambda: assemble(stream), 100):.0f} us")
    await measure_cache("memory", MemoryCache(1 << 24))
    if redis_url is None:
        print("redis: not measured, there is no redis-server")
        return
    cache = RedisCache(redis_url)
    await cache.start()
    for _ in range(100):
        if cache.state == "ok":
            break
        await asyncio.sleep(0.02)
    await measure_cache("redis", cache)
    if server is not None:
        await measure_pause(cache, server)
    await cache.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--redis-url")
    given = parser.parse_args().redis_url
    with private_redis() as (own, server):
        uvloop.run(main(given or own, None if given else server))
