"""Watches a stream of Server-Sent Events while it passes: bytes in, the same bytes out, and what they said.

Only what the caller did not ask for (usage) is taken out, by cutting bytes, never by encoding anew. Events are split
as the WHATWG HTML standard says (9.2.6); chunks are those of OpenAI's chat completions API. A buffer is searched as a
whole for the few marks that matter, and JSON is parsed only where one is found: this runs for every chunk of every
stream. Plain answers are read by `read_plain`, which sees the same things.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
from msgspec import Struct, structs

from router.domain import Usage
from router.errors import UpstreamBroken
from router.upstream.leniency import read_json
from router.upstream.usage import read_usage

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""An event that grows past this without ending is no event; the largest honest ones carry an image."""

_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?=[^\n])){2}")
"""Two line ends in a row. A carriage return that is the last byte so far may be half of one, so it ends nothing yet."""

_NULL_USAGE = re.compile(
    rb',"usage":null(?=(?:,"[^"\\]*":(?:"[^"\\]*"|null|true|false|-?[0-9.]+))*\}(?:\n\n|\r\n\r\n))'
)
"""As OpenAI writes it. Only flat members follow until the object and its event end: surely a top-level one."""

_NULL_USAGE_ANYWHERE = re.compile(rb'(?:,\s*"usage"\s*:\s*null)|(?:"usage"\s*:\s*null\s*,)')

_GROUP_BYTES = 4096
"""A burst is searched so many bytes at a time: what ends a stream is seldom far from its end."""

BYTES_PER_TOKEN = 4


class PlainSeen(Struct, frozen=True):
    """What a plain completion body said. completion: the parsed body; None where it is no completion, an error, or
    no strict JSON, which is not to be encoded anew.

    output_tokens_estimate: from the length of what was said, where nothing was counted.
    """

    completion: dict[str, Any] | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    output_tokens_estimate: int = 0


def read_plain(body: bytes) -> PlainSeen:
    """Looks at a plain completion. Never raises: what is not understood says nothing."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _read_leniently(body)
    return see_plain(answer) if isinstance(answer, dict) else PlainSeen()


def _read_leniently(body: bytes) -> PlainSeen:
    try:
        answer = read_json(body)
    except ValueError:
        return PlainSeen()
    return structs.replace(see_plain(answer), completion=None) if isinstance(answer, dict) else PlainSeen()


def see_plain(answer: dict[str, Any]) -> PlainSeen:
    """The same for a completion that is parsed already."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or _error_of(answer) is not None:
        return PlainSeen()
    usage = read_usage(answer.get("usage"))
    spoken = [choice for choice in choices if isinstance(choice, dict)]
    finish_reason = _text(spoken[0].get("finish_reason")) if spoken else None
    said = 0
    if usage is None:
        said = sum(_length(choice["message"]) for choice in spoken if isinstance(choice.get("message"), dict))
    return PlainSeen(answer, usage, finish_reason, said // BYTES_PER_TOKEN)


def _length(message: dict[str, Any]) -> int:
    try:
        return len(orjson.dumps(message))
    except orjson.JSONEncodeError:  # lone surrogates, numbers too large
        return len(json.dumps(message))


def error_event(error_body: dict[str, Any]) -> bytes:
    """The event that says a stream failed on its way; the stream is closed after it, without `[DONE]`."""
    return b"data: " + orjson.dumps(error_body) + b"\n\n"


class StreamTap:
    """One stream, fed as it comes. Whatever way its bytes are split, the bytes forwarded are the same.

    strip_usage: take out the usage chunk, and null usage members, that only we asked for.
    collect_limit: keep up to so many raw bytes of complete events, before anything is taken out (0: none).
    """

    def __init__(self, *, strip_usage: bool, collect_limit: int):
        self.finish_reason: str | None = None
        self.saw_content = False
        self.saw_done = False
        self.has_tool_calls = False
        self.malformed = False
        """Whether an event that was looked at held something that is not a JSON object."""
        self.model: str | None = None
        self.choices = 0
        self.error: dict[str, Any] | None = None
        """The `error` object of an event, as the upstream wrote it."""
        self.usage: Usage | None = None
        """What the upstream counted last, if it did; a later usage of zeros counts nothing."""
        self._strips = strip_usage
        self._held = bytearray()
        self._limit = collect_limit
        self._kept: list[bytes] | None = [] if collect_limit else None
        self._seen_bytes = 0
        self._seen_events = 0
        self._envelope = 0
        """Bytes of a content event that are not content, from the first one."""

    @property
    def output_tokens_estimate(self) -> int:
        """From the bytes that passed less their envelopes; meant for when no usage came."""
        if not self.saw_content:
            return 0
        return max(1, (self._seen_bytes - self._seen_events * self._envelope) // BYTES_PER_TOKEN)

    @property
    def collected(self) -> bytes | None:
        """The raw events so far; None where they grew past the limit, or none were to be kept."""
        return None if self._kept is None else b"".join(self._kept)

    def feed(self, chunk: bytes) -> bytes:
        """Takes in bytes as they came and returns those to forward: complete events only.

        Raises UpstreamBroken for an event without end.
        """
        if self._held:
            if _EVENT_END.search(self._held[-3:] + chunk) is None:
                self._hold(chunk)
                return b""
            chunk = bytes(self._held + chunk)
            self._held.clear()
        cut = _end_of_last_event(chunk)
        if cut < len(chunk):
            self._hold(chunk[cut:])
            chunk = chunk[:cut]
        return self._pass(chunk) if chunk else b""

    def finish(self) -> bytes:
        """The stream is over: what is left of it, which had no blank line after it, to forward as well."""
        rest = bytes(self._held)
        self._held.clear()
        return self._pass(rest) if rest else b""

    def _hold(self, piece: bytes) -> None:
        self._held += piece
        if len(self._held) > MAX_EVENT_BYTES:
            raise UpstreamBroken("The upstream sent an event without end.")

    def _pass(self, ready: bytes) -> bytes:
        self._seen_bytes += len(ready)
        self._seen_events += ready.count(b"\n\n")
        if self._kept is not None:
            self._kept.append(ready)
            self._limit -= len(ready)
            if self._limit < 0:
                self._kept = None
        if self._strips and b'"usage"' in ready:
            ready = _NULL_USAGE.sub(b"", ready)
        if self.saw_content and not self._is_worth_reading(ready):
            return ready
        out: list[bytes] = []
        at = 0 if self.saw_content else self._look_for_content(ready, out)
        while at < len(ready):
            end = ready.rfind(b"\n\n", at, at + _GROUP_BYTES) + 2
            group = ready[at : end if end > at + 1 else len(ready)]
            if self._is_worth_reading(group):
                out += [self._look(event) for event in _events(group)]
            else:
                out.append(group)
            at += len(group)
        return b"".join(out)

    def _look_for_content(self, ready: bytes, out: list[bytes]) -> int:
        """Reads events up to the first with content, into `out`; returns where the next one begins."""
        at = 0
        for event in _events(ready):
            out.append(self._look(event))
            at += len(event)
            if self.saw_content:
                break
        return at

    def _is_worth_reading(self, ready: bytes) -> bool:
        """Whether these bytes say anything besides more content. A key inside a JSON string is escaped: not found."""
        return (
            b"[DONE]" in ready
            or b'"error"' in ready
            or _differs(ready, b'"finish_reason"', b'"finish_reason":null', b'"finish_reason": null')
            or (
                b'"usage"' in ready and (self._strips or _differs(ready, b'"usage"', b'"usage":null', b'"usage": null'))
            )
            or _differs(ready, b'"index"', b'"index":0', b'"index": 0')
            or (not self.has_tool_calls and (b'"tool_calls"' in ready or b'"function_call"' in ready))
        )

    def _look(self, event: bytes) -> bytes:
        """Reads one event, and returns what of it goes on to the caller."""
        if self.saw_content and not self._is_worth_reading(event):
            return event
        data = _data(event)
        if data is None:
            self._seen_bytes -= len(event)
            self._seen_events -= event.count(b"\n\n")
            return event
        if data.strip() == b"[DONE]":
            self.saw_done = True
            return event
        try:
            chunk = read_json(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            self.malformed = True
            return event
        self._observe(chunk, event)
        if self._strips and "usage" in chunk:
            return _without_usage(event, chunk)
        return event

    def _observe(self, chunk: dict[str, Any], event: bytes) -> None:
        self.error = self.error or _error_of(chunk)
        self.model = self.model or _text(chunk.get("model"))
        if counted := chunk.get("usage"):
            self.usage = read_usage(counted) or self.usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            self.choices = max(self.choices, index + 1 if isinstance(index, int) else 1)
            self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
            delta = choice.get("delta")
            if not isinstance(delta, dict):
                continue
            self.has_tool_calls = self.has_tool_calls or bool(delta.get("tool_calls") or delta.get("function_call"))
            if not self.saw_content and any(value for name, value in delta.items() if name != "role"):
                self.saw_content = True
                said = sum(len(value.encode("utf-8", "replace")) for value in delta.values() if isinstance(value, str))
                self._envelope = len(event) - said


def ended_well(tail: bytes) -> bool:
    """Whether a stream with these last bytes was whole: `[DONE]`, a finish reason, or an error event of its own."""
    if tail.endswith((b"\ndata: [DONE]\n\n", b"\ndata:[DONE]\n\n")):
        return True
    tap = StreamTap(strip_usage=False, collect_limit=0)
    tap.saw_content = True
    tap.feed(tail)
    tap.finish()
    return tap.saw_done or tap.finish_reason is not None or tap.error is not None


def _end_of_last_event(buffer: bytes) -> int:
    """Where the last complete event ends; 0 where none does."""
    if b"\r" not in buffer:
        return buffer.rfind(b"\n\n") + 2 if b"\n\n" in buffer else 0
    end = 0
    for match in _EVENT_END.finditer(buffer):
        end = match.end()
    return end


def _events(ready: bytes) -> Iterator[bytes]:
    start = 0
    if b"\r" not in ready:
        while (end := ready.find(b"\n\n", start)) >= 0:
            yield ready[start : end + 2]
            start = end + 2
    else:
        for match in _EVENT_END.finditer(ready):
            yield ready[start : match.end()]
            start = match.end()
    if start < len(ready):
        yield ready[start:]


def _data(event: bytes) -> bytes | None:
    """The data of an event; None for comments and blank lines."""
    lines = [line[5:] for line in event.removeprefix(b"\xef\xbb\xbf").splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _without_usage(event: bytes, chunk: dict[str, Any]) -> bytes:
    """The event without the usage that the caller did not ask for.

    A chunk with no choices and a usage exists only because we asked: it goes, but for its comments and the blank
    lines before it. A null usage is cut out where the rest certainly stays as it was.
    """
    if chunk["usage"] and chunk.get("choices") == [] and not chunk.get("error"):
        blank = event[: len(event) - len(event.lstrip(b"\r\n"))]
        return blank + b"".join(line for line in event.splitlines(keepends=True) if line.startswith(b":"))
    if chunk["usage"] is None:
        shorter, cuts = _NULL_USAGE_ANYWHERE.subn(b"", event)
        rest = {name: value for name, value in chunk.items() if name != "usage"}
        data = _data(shorter)
        try:
            if cuts == 1 and data is not None and orjson.loads(data) == rest:
                return shorter
        except orjson.JSONDecodeError:
            pass
    return event


def _differs(ready: bytes, key: bytes, compact: bytes, spaced: bytes) -> bool:
    """Whether this key stands anywhere with another value than the usual one."""
    found = ready.count(key)
    return found != 0 and found != (ready.count(compact) or ready.count(spaced))


def _error_of(answer: dict[str, Any]) -> dict[str, Any] | None:
    error = answer.get("error")
    if not error:
        return answer if answer.get("object") == "error" else None
    return error if isinstance(error, dict) else {"message": str(error)}


def _text(value: Any) -> str | None:
    """For the ledger, whose databases take neither lone surrogates nor NUL."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() and value.isprintable() else _clean(value)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "?")
