"""One connection on the wire: uvicorn's, with bounds on how long and how large a request may be while it comes in.

uvicorn over httptools waits for ever for the rest of a request and takes heads of any size; it adds trailers to the
headers, loses the body of a request that offers an upgrade (as Java's client does), and answers what it cannot read
in plain text, even into the middle of another answer. All that is mended here. What requests mean is left to others.
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from router.api.chat import ChatEndpoint
from router.api.errors import Headers, error_answer
from router.api.exchange import Exchange, goes_directly
from router.entry import new_request_id
from router.errors import BadRequest, HeadTooLarge, RequestError, RequestTooSlow

HEAD_BYTES = 64 * 1024
HEADERS_MOST = 200

_OF_UPGRADES = frozenset({b"connection", b"upgrade", b"http2-settings"})


class BoundedConnection(HttpToolsProtocol):
    """What `uvicorn.Config(http=...)` takes. Requests that come in one piece, as nearly all do, cost no timer."""

    head_seconds = 10.0
    body_seconds = 120.0
    """For the whole body, from the end of the head on: 10 MB at no less than 0.7 Mbit/s."""
    linger_seconds = 5.0
    """What still comes of a body is read and thrown away so long after the answer, a 413 say; cut off at once, a client
    in the middle of sending would not see the answer."""
    stalled_seconds = 300.0
    """A caller who takes nothing of an answer for so long has left, whatever TCP says: until then a call upstream, and
    a place at its model, are held for them."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._in_head = self._in_body = False
        self._head_bytes = self._piece_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._deadline_of_body = False
        self._refusal: RequestError | None = None
        self._incoming: Exchange | None = None
        self._answering: Any = None
        """The exchange or cycle that is being answered; `cycle` is the newest, which may have to wait for its turn."""
        self._refused = False
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline(of_body=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_stall()
        answering = self._answering
        if answering is not None and answering is not self.cycle and not answering.response_complete:
            answering.disconnected = True  # uvicorn tells the newest alone
            answering.message_event.set()
        super().connection_lost(exc)
        # These refer back to this object, and to bodies: nobody has to wait for the garbage collector.
        self._answering = self._incoming = self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._piece_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._pass_over_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            return self._refuse(self._refusal or BadRequest("This is not HTTP as it should be.", code="invalid_http"))
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                return self._refuse(_too_large())
        if self._in_head or self._in_body:
            if self._deadline is None or self._deadline_of_body is not self._in_body:
                self._set_deadline(of_body=self._in_body)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._clear_deadline()
        elif self._deadline is None:  # empty lines between requests
            self._set_deadline(of_body=False)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._clear_stall()
        super().resume_writing()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer, which must not pass for a header (RFC 9110 6.5.1)
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        if self._incoming is not None:
            self._incoming.take(body)
        else:
            super().on_body(body)

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        if len(self.headers) > HEADERS_MOST or (
            self._head_bytes + self._piece_bytes > HEAD_BYTES
            and sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url) > HEAD_BYTES
        ):
            self._refusal = _too_large()
            raise ValueError
        if not self.parser.should_upgrade():
            self._open()
        elif self.parser.get_method() == b"CONNECT":
            self._refusal = BadRequest("This is no proxy.", code="invalid_http")
            raise ValueError

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        if self._incoming is None:
            return super().on_message_complete()
        task = self.loop.create_task(self._incoming.run())
        self._incoming = None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _open(self) -> None:
        """Begins what answers this request: an exchange for most chats, uvicorn's own cycle for all else."""
        chat: ChatEndpoint | None = self.app_state.get("chat")
        parser, before = self.parser, self.cycle
        if (
            chat is None
            or (before is not None and not before.response_complete)
            or not goes_directly(self.url, parser.get_method(), parser.get_http_version(), self.headers)
            or (admitted := chat.admit(self.headers)) is None
        ):
            super().on_headers_complete()
            if before is None or before.response_complete:
                self._answering = self.cycle
            return
        date = self.server_state.default_headers
        answer = partial(chat.exchange, *admitted)
        self._incoming = Exchange(self, answer, self.scope, date, parser.should_keep_alive())
        self.cycle = self._answering = self._incoming  # type: ignore[assignment]

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._answering = self.pipeline[-1][0]
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete and not self.transport.is_closing():
            self._set_deadline(of_body=True, seconds=self.linger_seconds)

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Reads the request once more as one that offers nothing, and goes on with what follows (RFC 9110 7.8)."""
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name not in _OF_UPGRADES:
                head += [name, b": ", value, b"\r\n"]
        self._in_head = self._in_body = False
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _refuse(self, error: RequestError) -> None:
        """Answers with the error and closes, but never in the place or in the middle of another answer."""
        self._clear_deadline()
        self._refused = True
        cycle = self.cycle
        if self.pipeline and cycle.scope is self.scope:  # its turn to be answered comes after others'
            cycle.keep_alive = False
            self.pipeline[0] = (cycle, partial(_refuse_in_turn, error))
            return self.flow.pause_reading()
        if cycle is not None and cycle.scope is self.scope:  # its head was well, its body is not
            may_answer = not cycle.response_started
        elif cycle is not None and not cycle.response_complete:  # an earlier request is still being answered
            cycle.keep_alive = False
            return self.flow.pause_reading()
        else:
            may_answer = True
        if may_answer:
            headers, body = _answer_to(error)
            status_line = b"HTTP/1.1 %d %s" % (error.status, HTTPStatus(error.status).phrase.encode())
            lines = [status_line, *(name + b": " + value for name, value in headers)]
            self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def _set_deadline(self, *, of_body: bool, seconds: float | None = None) -> None:
        self._clear_deadline()
        self._deadline_of_body = of_body
        if seconds is None:
            seconds = self.body_seconds if of_body else self.head_seconds
        self._deadline = self.loop.call_later(seconds, self._run_out)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _look_again(self, unsent: int) -> None:
        self._stall = self.loop.call_later(self.stalled_seconds, self._look, unsent)

    def _look(self, unsent_before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent < unsent_before:
            self._look_again(unsent)
        else:
            self.transport.abort()

    def _clear_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _run_out(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.pipeline:  # it is we who do not read
            self._set_deadline(of_body=self._in_body)
        elif self._in_head or self._in_body:
            self._refuse(RequestTooSlow("The request took too long to come in."))
        else:
            self.transport.close()


def _answer_to(error: RequestError) -> tuple[Headers, bytes]:
    headers, body = error_answer(error)
    return [*headers, (b"x-request-id", new_request_id().encode()), (b"connection", b"close")], body


async def _refuse_in_turn(error: RequestError, scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application for a request that was found wanting while it waited for its turn."""
    headers, body = _answer_to(error)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The request's head is larger than {HEAD_BYTES >> 10} KB or {HEADERS_MOST} headers.")
