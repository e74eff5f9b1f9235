"""What is remembered of a conversation, and what a place to remember it in promises."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Remembered(Struct, frozen=True, array_like=True):
    """The last turn of a conversation. model: who answered it.

    tokens: how long the prompt was then, so about what the provider's prompt cache holds of it. cheaper_turns: on how
    many turns in a row, up to it, the policy would have gone down to a model that is predicted to answer no better.
    """

    model: str
    tokens: int
    cheaper_turns: int = 0


class Memory(Protocol):
    """Two honest implementations: in the process, and Redis. Neither ever raises, or keeps a request waiting long."""

    async def recall(self, key: str) -> Remembered | None: ...

    async def remember(self, key: str, turn: Remembered, ttl_seconds: float) -> None: ...

    async def aclose(self) -> None: ...
