"""Callers' opinions on their way into the ledger: whose request each is about, and that none comes too early.

An opinion may come before its request's row: from the moment that the answer begins this process knows the request,
and a row that is on its way from another one is waited for, for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from router.domain import Caller
from router.entry import is_recent, is_request_id
from router.ledger.contract import NewLabel, Store
from router.ledger.recorder import Recorder

ROW_TRIES, ROW_PAUSE_SECONDS = 5, 0.2
"""How long a row of another worker is waited for: a little longer than recorders keep theirs back."""


class Opinion(Struct, frozen=True):
    """What a caller says of one answer. score: 0..1. given_unix: None for now."""

    request_id: str
    source: Literal["user", "verifier"]
    score: float
    comment: str | None = None
    given_unix: float | None = None


class Inbox:
    """Takes opinions. under_way: the tenant of each request that this process is answering."""

    def __init__(self, store: Store, recorder: Recorder, under_way: Mapping[str, str]):
        self._store, self._recorder, self._under_way = store, recorder, under_way

    async def take(self, caller: Caller, opinions: Sequence[Opinion]) -> frozenset[str]:
        """Keeps what is said of the caller's tenant's requests, and returns their ids. All of it or, where this raises
        StoreAway, nothing."""
        left = [opinion for opinion in opinions if is_request_id(opinion.request_id)]
        found: frozenset[str] = frozenset()
        for attempt in range(1 + ROW_TRIES):
            found |= await self._theirs({opinion.request_id for opinion in left} - found, caller.tenant)
            missing = [opinion for opinion in left if opinion.request_id not in found]
            if attempt == ROW_TRIES or not any(is_recent(opinion.request_id) for opinion in missing):
                break
            await asyncio.sleep(ROW_PAUSE_SECONDS)
        kept = [opinion for opinion in left if opinion.request_id in found]
        if kept:
            await self._store.add_labels(caller.tenant, [_label(opinion, caller) for opinion in kept])
        return found

    async def _theirs(self, request_ids: set[str], tenant: str) -> frozenset[str]:
        """Which of these are requests of a tenant: under way here, waiting to be written, or in the ledger."""
        early = {name for name in request_ids if self._under_way.get(name) == tenant}
        early |= request_ids & self._recorder.waiting_of(tenant)
        return frozenset(early) | await self._store.known_of(tenant, request_ids - early)


def _label(opinion: Opinion, caller: Caller) -> NewLabel:
    return NewLabel(
        opinion.request_id,
        caller.key,
        opinion.source,
        opinion.score,
        comment=opinion.comment,
        at_unix=opinion.given_unix,
    )
