"""What every upstream promises: bytes out, bytes in, and one family of errors.

An upstream either raises one of `router.errors.UpstreamError` before the first content byte, or returns an
`Answer`. After that a failure shows as an exception out of the byte stream, and nobody retries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from msgspec import Struct

from router.domain import ModelSpec


class Call(Struct, frozen=True):
    """One call upstream. body: the caller's bytes with only `model` and `stream_options` spliced.

    headers: already allow-listed, lower-case names. stream: whether the caller asked for SSE.
    """

    model: ModelSpec
    body: bytes
    stream: bool
    request_id: str
    headers: Mapping[str, str]


class Answer(Protocol):
    """What came back, before its body was read. A 200, or a 400/404/422 that passes to the caller unchanged.

    `chunks()` yields raw bytes as they arrive (SSE bytes when `streamed`, else the JSON body in pieces) and raises
    `UpstreamError` when the upstream breaks off. `aclose()` may be called at any time, twice too; called before
    the end it closes the connection, so that the upstream stops working and billing.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Only those that may be passed to the caller, lower-case names."""
        ...

    @property
    def streamed(self) -> bool: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Upstream(Protocol):
    """Two honest implementations: the OpenAI-compatible relay, and litellm for every other provider."""

    async def open(self, call: Call) -> Answer: ...

    async def aclose(self) -> None: ...
