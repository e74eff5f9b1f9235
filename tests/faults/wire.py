"""One chat over a connection of its own, in plain bytes: cheap enough for thousands of callers in one process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from dataclasses import dataclass

from tests.running import chat_body


@dataclass(frozen=True)
class Heard:
    """An answer. text: the body, still in its chunks."""

    status: int
    request_id: str
    text: str

    @property
    def whole(self) -> bool:
        """Is this a good answer to its very end?"""
        return self.status == 200 and ("data: [DONE]\n\n" in self.text or '"finish_reason":"stop"' in self.text)


async def ask(port: int, text: str, *, stream: bool = False) -> Heard:
    """Asks a gateway on the loopback; whoever cancels this hangs up. Raises OSError where no whole answer came."""
    body = json.dumps(chat_body(text, stream=stream)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        answer = (await reader.read()).decode()
    finally:
        writer.transport.abort()
    head_text, _, rest = answer.partition("\r\n\r\n")
    if not rest:
        raise ConnectionResetError("no answer")
    lines = head_text.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    if headers.get("transfer-encoding") == "chunked" and not rest.endswith("0\r\n\r\n"):
        raise ConnectionResetError("half an answer")
    return Heard(int(lines[0].split(" ")[1]), headers["x-request-id"], rest)


def open_many_files() -> None:
    """Lets this process have as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # macOS says "unlimited" and does not mean it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
