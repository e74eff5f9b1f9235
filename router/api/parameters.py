"""The parameters that routes over the ledger share, and its absence as an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Query, Request

from router.domain import CacheVerdict, OutcomeKind, Purpose
from router.errors import LedgerAway, StoreError
from router.ledger.contract import Store
from router.ledger.filters import Filters, Priced, UsageKind
from router.ledger.reports import Sort

Since = Annotated[
    str | None,
    Query(description="From when: a span (90m, 24h, 7d, 2w) or an RFC 3339 time. Default 7d.", examples=["7d"]),
]
Until = Annotated[
    str | None,
    Query(description="Up to when, not included; as `since`. Default now.", examples=["1h"]),
]
Sorted = Annotated[
    Sort | None,
    Query(description="A column; with a minus the largest first. Default the dearest first, days and hours in order."),
]


def _filters(
    model: str | None = None,
    route: str | None = None,
    rule: str | None = None,
    tenant: str | None = None,
    key: str | None = None,
    task: str | None = None,
    status: Annotated[int | None, Query(ge=100, le=599)] = None,
    outcome: OutcomeKind | None = None,
    cache: CacheVerdict | None = None,
    priced: Annotated[Priced | None, Query(description="Whether the cost is known.")] = None,
    usage: Annotated[UsageKind | None, Query(description="Tokens counted by the upstream, or estimated by us.")] = None,
    purpose: Annotated[
        Purpose | None, Query(description="What a call was for. Lists hold `chat` unless another is asked for.")
    ] = None,
    policy: Annotated[str | None, Query(description="As `name@digest`: a canary's, say.")] = None,
) -> Filters:
    return Filters(model, route, rule, tenant, key, task, status, outcome, cache, priced, usage, purpose, policy)


Filtered = Annotated[Filters, Depends(_filters)]
"""Every filter of the ledger, each a parameter of the address."""


def store_of(request: Request) -> Store:
    """The ledger of the gateway that was asked."""
    store: Store = request.app.state.gateway.store
    return store


@contextmanager
def ledger_in_reach() -> Iterator[None]:
    """Raises LedgerAway for what goes wrong with the database."""
    try:
        yield
    except StoreError as error:
        raise LedgerAway(str(error), retry_after=5) from error
