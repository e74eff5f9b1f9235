"""The stand-in itself: listens, understands, answers as its script says, and writes everything down."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping

from router.domain import Price
from router.upstream.standin.connection import ClientLeft, Connection, Request
from router.upstream.standin.dialects import CREATED, DIALECTS, Dialect, Said
from router.upstream.standin.script import Asked, Fault, Received, Reply, ToolCall, count_tokens, instance_of

_JSON = {"content-type": "application/json"}
_JOURNAL_ENTRIES = 10_000


class StandIn:
    """One simulated model behind a real socket.

    answer: what it says to a question (the last user turn), as a Reply or as plain text. price: what it bills by.
    api_key: the only key it accepts, as `Authorization: Bearer` or `x-api-key`; None accepts all. also: further ids
    that it lists, as OpenAI (`/v1/models`) and as Ollama (`/api/tags`); it answers to any id.

    `script` is worked off first: each Fault or Reply in it is for one request. Times are real ones.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[str], Reply | str],
        *,
        price: Price | None = None,
        api_key: str | None = None,
        also: tuple[str, ...] = (),
    ):
        self.name = name
        self._listed = (name, *also)
        self.journal: deque[Received] = deque(maxlen=_JOURNAL_ENTRIES)
        self.script: deque[Fault | Reply] = deque()
        self.price = price
        self._answer, self._key = answer, api_key
        self._arrived = asyncio.Condition()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._opened = 0

    @property
    def open_connections(self) -> int:
        """Connections that clients hold open now, idle ones too."""
        return len(self._connections)

    async def received(self, number: int = 1) -> Received:
        """The request of this number, counted from 1; waits until it has come."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.journal) >= number)
        return self.journal[number - 1]

    @contextlib.asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Listens on the loopback while the block runs; gives `http://127.0.0.1:PORT`.

        OpenAI clients take that with `/v1` after it, Anthropic's as it is.
        """
        server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=2**20, backlog=4096)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task, connection in list(self._connections.items()):
                connection.close(abruptly=True)
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await server.wait_closed()

    async def run(self, port: int, ready: Callable[[str], None] = lambda _: None) -> None:
        """Serves until cancelled, for a process of its own: `asyncio.run(stand_in.run(port))`."""
        async with self.serve(port) as url:
            ready(url)
            await asyncio.Event().wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._opened += 1
        connection = Connection(reader, writer, self._opened)
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = connection
        try:
            while (request := await connection.request()) is not None:
                if not await self._take(connection, request):
                    break
                await connection.rest()
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            del self._connections[task]
            connection.close()

    async def _take(self, connection: Connection, request: Request) -> bool:
        """Answers one request; False when the connection is not to be used again."""
        entry = Received(request.path, request.headers, request.body, connection=connection.number)
        if request.method == "POST":
            self.journal.append(entry)
            async with self._arrived:
                self._arrived.notify_all()
        try:
            return await self._respond(connection, request, entry)
        except ClientLeft:
            entry.left.set()
            return False
        finally:
            entry.ended.set()

    async def _respond(self, connection: Connection, request: Request, entry: Received) -> bool:
        if request.path == "/v1/models":
            listed = [
                {"id": name, "object": "model", "created": CREATED, "owned_by": "standin"} for name in self._listed
            ]
            return await self._send(connection, entry, 200, {"object": "list", "data": listed})
        if request.path == "/api/tags":
            return await self._send(connection, entry, 200, {"models": [{"name": name} for name in self._listed]})
        dialect = DIALECTS.get(request.path)
        if dialect is None or request.method != "POST":
            return await self._send(connection, entry, 404, {"error": {"message": "There is nothing here."}})
        if self._key is not None and self._key not in (
            request.headers.get("x-api-key"),
            request.headers.get("authorization", "").removeprefix("Bearer "),
        ):
            return await self._send(connection, entry, 401, dialect.error(401, "This key is not known."))
        try:
            asked = dialect.read(json.loads(request.body))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            return await self._send(connection, entry, 400, dialect.error(400, f"Not understood: {error!r}."))
        entry.question, entry.streamed = asked.question, asked.stream
        reply = self._reply(asked)
        await connection.pause(reply.latency_seconds)
        fault = reply.fault
        if fault is not None and fault.kind in ("status", "hang", "html", "close_before", "redirect"):
            return await self._refuse(connection, entry, dialect, fault)
        try:
            said = self._said(asked, reply)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return await self._send(connection, entry, 400, dialect.error(400, f"No such schema: {error!r}."))
        self._bill(entry, said, 0.0)
        if asked.stream and (fault is None or fault.kind != "plain"):
            return await self._stream(connection, entry, dialect, said, reply)
        return await self._plain(connection, entry, dialect, said, fault)

    def _reply(self, asked: Asked) -> Reply:
        scripted = self.script.popleft() if self.script else None
        if isinstance(scripted, Reply):
            return scripted
        answer = self._answer(asked.question)
        reply = Reply(answer) if isinstance(answer, str) else answer
        if scripted is None:
            return reply
        return Reply(reply.text, reply.pieces, reply.latency_seconds, reply.gap_seconds, fault=scripted)

    def _said(self, asked: Asked, reply: Reply) -> Said:
        """The reply made to fit what was asked: tools that it names, a schema it must satisfy."""
        calls, text = reply.tool_calls, reply.text
        if calls is None:
            named = [name for name in asked.tools if asked.must_call in ("*", name) or name in asked.question]
            wanted = () if asked.answers_a_tool else named[:1] if asked.must_call == "*" else named
            calls = tuple(ToolCall(name, instance_of(asked.tools[name], text)) for name in wanted)
        if asked.schema is not None:
            text = json.dumps(instance_of(asked.schema, text), ensure_ascii=False)
        spoken = "".join(json.dumps(dict(call.arguments)) for call in calls) if calls else text
        count = len(self.journal).to_bytes(4, "big")
        return Said(
            id=hashlib.blake2b(asked.question.encode("utf-8", "replace") + count, digest_size=12).hexdigest(),
            model=asked.model,
            text=text,
            calls=calls,
            pieces=reply.pieces,
            choices=asked.choices,
            include_usage=asked.include_usage,
            input_tokens=asked.input_tokens if reply.input_tokens is None else reply.input_tokens,
            output_tokens=count_tokens(spoken) if reply.output_tokens is None else reply.output_tokens,
            cached_tokens=reply.cached_tokens,
            reasoning_tokens=reply.reasoning_tokens,
            finish=reply.finish,
            logprob=reply.logprob if asked.logprobs else None,
        )

    def _bill(self, entry: Received, said: Said, share: float) -> None:
        """What has been produced is billed, whether or not anybody reads it. Cached input costs what its price says."""
        entry.input_tokens, entry.output_tokens = said.input_tokens, round(said.output_tokens * share)
        if (price := self.price) is not None:
            read = price.input if price.cache_read is None else price.cache_read
            fresh = said.input_tokens - said.cached_tokens
            micro = fresh * price.input + said.cached_tokens * read + entry.output_tokens * price.output
            entry.cost_usd = micro / 1e6

    async def _send(
        self,
        connection: Connection,
        entry: Received,
        status: int,
        body: Mapping[str, object],
        headers: Mapping[str, str] = _JSON,
    ) -> bool:
        entry.status = status
        await connection.whole(status, json.dumps(body).encode(), headers)
        return True

    async def _refuse(self, connection: Connection, entry: Received, dialect: Dialect, fault: Fault) -> bool:
        match fault.kind:
            case "hang":
                await connection.pause(None)
            case "close_before":
                connection.close(abruptly=True)
                return False
            case "html":
                entry.status = 200
                page = b"<!doctype html><title>Gateway</title><p>The service is being looked after.</p>"
                await connection.whole(200, page, {"content-type": "text/html"})
            case "redirect":
                entry.status = 307
                await connection.whole(307, b"", {"location": "http://127.0.0.1:9/v1/chat/completions"})
            case _:
                headers = {**_JSON, "retry-after": fault.retry_after} if fault.retry_after is not None else _JSON
                error = dialect.error(fault.status, "This fault was asked for.")
                return await self._send(connection, entry, fault.status, error, headers)
        return True

    async def _plain(
        self, connection: Connection, entry: Received, dialect: Dialect, said: Said, fault: Fault | None
    ) -> bool:
        self._bill(entry, said, 1.0)
        entry.status = 200
        body = json.dumps(dialect.plain(said), ensure_ascii=False, separators=(",", ":")).encode()
        match fault.kind if fault is not None else None:
            case "malformed":
                await connection.whole(200, body[: len(body) // 2], _JSON)
            case "error_event":
                return await self._send(connection, entry, 200, dialect.error(500, "This fault was asked for."))
            case "close_after":
                await connection.part(200, len(body), body[: len(body) // 2], _JSON)
                connection.close()
                return False
            case "stall_after":
                await connection.part(200, len(body), body[: len(body) // 2], _JSON)
                await connection.pause(None)
            case _:
                await connection.whole(200, body, _JSON)
        return True

    async def _stream(
        self, connection: Connection, entry: Received, dialect: Dialect, said: Said, reply: Reply
    ) -> bool:
        fault, kind = reply.fault, reply.fault.kind if reply.fault is not None else None
        entry.status = 200
        await connection.begin_stream({"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
        share = 0.0
        for number, event in enumerate(events := list(dialect.stream(said))):
            if fault is not None and number == fault.after:
                if kind == "close_after":
                    connection.close()
                    return False
                if kind == "stall_after":
                    await connection.pause(None)
                if kind == "error_event":
                    await connection.stream(dialect.error_event("This fault was asked for."))
                    break
            if kind == "no_done" and number == len(events) - 1:
                break
            data = event.data[: len(event.data) // 2] + b"\n\n" if kind == "malformed" else event.data
            if number:
                await connection.pause(reply.gap_seconds)
            await connection.stream(data)
            if event.share:
                share += event.share
                self._bill(entry, said, min(1.0, share))
        if kind == "linger":
            await connection.pause(None)
        await connection.end_stream()
        return True
