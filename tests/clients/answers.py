"""The answers that are replayed: of our own writing, in the shapes that real servers send, odd ones included.

Each says what a plain call gets and what a stream is made of. Streams are told twice, with usage and without, as a
server does that sends what it is asked for; what clients make of them is for their own folders.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Mapping[str, Any]
Kind = Literal["chat", "tools", "schema"]

USAGE: Json = {
    "prompt_tokens": 31,
    "completion_tokens": 17,
    "total_tokens": 48,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
HEAD: Json = {
    "id": "chatcmpl-R9q2",
    "created": 1763712000,
    "model": "replayed-2026-01-15",
    "system_fingerprint": "fp_3d",
}


def compact(value: Any) -> str:
    """As OpenAI writes streams: no spaces, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def spaced(value: Any) -> str:
    """As servers in Python write: spaces, and everything beyond ASCII escaped."""
    return json.dumps(value)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One replayed answer.

    kind: what the caller has to ask with. outcome: what the ledger has to call it; clients raise unless it is `ok`.
    plain: the body of a call without `stream`; none: there is only a stream. choices: `choices` of each chunk.
    usage: none where the stream ends before it. beside: more members of each chunk. line: how one event is written,
    given its JSON. before, after: raw bytes around the events. cut: into pieces of how many bytes the stream is split
    on the wire (none: one event a piece). write: how JSON becomes text. lingers: seconds from the last piece of a
    stream to the end of the response.
    """

    name: str
    kind: Kind = "chat"
    status: int = 200
    outcome: str = "ok"
    plain: bytes | None = None
    choices: Sequence[Sequence[Json]] = ()
    head: Json = field(default_factory=lambda: HEAD)
    beside: Json = field(default_factory=dict)
    usage: Json | None = field(default_factory=lambda: USAGE)
    line: Callable[[str], str] = lambda event: f"data: {event}\n\n"
    before: str = ""
    after: str = "data: [DONE]\n\n"
    cut: int | None = None
    write: Callable[[Any], str] = compact
    lingers: float = 0

    def stream(self, *, usage: bool) -> list[bytes]:
        """The pieces of the stream, in order. usage: whether `stream_options.include_usage` was asked for."""
        start = {"object": "chat.completion.chunk", **self.head, **self.beside}
        events = [{**start, "choices": choices, **({"usage": None} if usage else {})} for choices in self.choices]
        if usage and self.usage is not None:
            events.append({**start, "choices": [], "usage": self.usage})
        whole = [self.before, *(self.line(self.write(event)) for event in events), self.after]
        pieces = [piece.encode() for piece in whole if piece]
        if self.cut is None:
            return pieces
        joined = b"".join(pieces)
        return [joined[at : at + self.cut] for at in range(0, len(joined), self.cut)]


def completion(*choices: Json, usage: Json = USAGE, head: Json = HEAD, **beside: Any) -> Json:
    """A plain `chat.completion`."""
    return {"object": "chat.completion", **head, "choices": choices, "usage": usage, **beside}


def choice(message: Json, finish: str = "stop", index: int = 0, **beside: Any) -> Json:
    """A choice of a plain answer."""
    whole = {"role": "assistant", "content": None, "refusal": None, **message}
    return {"index": index, "message": whole, "logprobs": None, **beside, "finish_reason": finish}


def delta(said: Json, finish: str | None = None, index: int = 0, **beside: Any) -> Json:
    """A choice of a chunk."""
    return {"index": index, "delta": said, "logprobs": None, **beside, "finish_reason": finish}


def spoken(words: Sequence[str], finish: str = "stop", member: str = "content") -> list[list[Json]]:
    """Chunks that say these words one after the other, and end."""
    opening = delta({"role": "assistant", "content": "", "refusal": None})
    return [[opening], *([delta({member: word})] for word in words), [delta({}, finish)]]


def fragment(index: int, arguments: str, **named: Any) -> Json:
    """One piece of a tool call in a stream."""
    function = {**({"name": named["name"]} if "name" in named else {}), "arguments": arguments}
    opening = {"id": named["id"], "type": "function"} if "id" in named else {}
    return {"index": index, **opening, "function": function}


def raw(value: Json, write: Callable[[Any], str] = compact) -> bytes:
    """A plain body."""
    return write(value).encode()


OPENING = [delta({"role": "assistant", "content": None})]
"""A first chunk that says nothing yet."""
