"""A small load generator: callers in a closed loop over kept-alive connections, so that only the server is measured.

    python bench/load.py URL [--callers N] [--seconds S | --requests N] [--kind chat|hit|stream] [--key KEY] [--model M]

Prints one JSON line: requests answered, seconds, and how many were not answered by 200. It reads no more of an answer
than where it ends. `chat` puts a new number into every question, `hit` asks one question again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from urllib.parse import urlsplit

import uvloop

SYSTEM = (
    "You are a careful assistant for a software team. Answer in plain language, keep to the question, and say so when "
    "you do not know. Prefer short sentences, and give one example where it helps the reader to see what is meant. "
)
QUESTION = (
    "How long may a gateway hold a chat completion before people notice, and which parts of its way usually take the "
    "longest? Please give figures where you can, and say where they are from. Question number {number}. "
)
NUMBERS = itertools.count(time.time_ns() // 1000)
"""Of questions; no two runs ask the same, or the second would measure the cache."""


def request(host: str, path: str, kind: str, key: str, model: str) -> bytes:
    """One request, head and body."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": "What is a gateway?"},
            {"role": "assistant", "content": "A server that stands between applications and those who provide models."},
            {"role": "user", "content": QUESTION.format(number=0 if kind == "hit" else next(NUMBERS))},
        ],
        "max_tokens": 256,
        "stream": kind == "stream",
    }
    raw = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


async def answer(reader: asyncio.StreamReader) -> int:
    """Reads one answer to its end; its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
            break
    else:
        await reader.readuntil(b"\r\n0\r\n\r\n")
    return int(head[9:12])


async def call(url: str, args: argparse.Namespace, until: float, left: list[int], bad: list[int]) -> int:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 24)
    count = 0
    while time.perf_counter() < until and left[0] > 0:
        left[0] -= 1
        writer.write(request(parts.netloc, parts.path, args.kind, args.key, args.model))
        status = await answer(reader)
        bad[0] += status != 200
        count += 1
    writer.close()
    return count


async def main(args: argparse.Namespace) -> None:
    began = time.perf_counter()
    until = began + (args.seconds if args.requests is None else 600.0)
    left, bad = [args.requests or 1 << 60], [0]
    counts = await asyncio.gather(*(call(args.url, args, until, left, bad) for _ in range(args.callers)))
    print(json.dumps({"n": sum(counts), "secs": time.perf_counter() - began, "bad": bad[0]}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--kind", choices=("chat", "hit", "stream"), default="chat")
    parser.add_argument("--key", default="none")
    parser.add_argument("--model", default="auto")
    uvloop.run(main(parser.parse_args()))
