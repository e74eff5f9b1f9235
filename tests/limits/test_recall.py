"""Budgets outlive a process: what the ledger has in writing is the least that was spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.domain import Caller, Outcome
from router.ledger.store import SqlStore
from router.limits.contract import Standing
from router.limits.limits import Limits
from router.limits.memory import MemoryStore
from router.limits.recall import Recall
from router.policy.compiled import Policy

from .policies import policy_of, row_of
from .stores import HOUR_MS, NOON_MS, HandClock

LIMITS = (
    "{name: mine, per: key, dollars_per_day: 1, dollars_per_month: 1}",
    "{name: house, per: tenant, dollars_per_month: 1}",
    "{name: way, per: route, only: [auto], dollars_per_month: 1}",
    "{name: all, per: all, dollars_per_day: 1}",
    "{name: dear, per: model, only: [large], dollars_per_month: 1}",
)


def written(number: int, hours_ago: float, nano: int | None, **more: object) -> Outcome:
    row = row_of("large", 1, nano)
    row.request_id, row.at_unix = f"req_{number}", (NOON_MS - hours_ago * HOUR_MS) / 1000
    row.route = "auto"
    for name, value in more.items():
        setattr(row, name, value)
    return row


ROWS = [
    written(1, 1, 10),
    written(2, 13, 200),
    written(3, 24 * 6, 9_000),
    written(4, 1, 3, key="two"),
    written(5, 1, 5, purpose="draft", parent_id="req_1", model="small", route=None),
    written(6, 1, 7, purpose="retrieve", parent_id="req_1", model="large", provider="retriever"),
    written(7, 1, 70_000, purpose="audit", parent_id="req_1"),
    written(8, 1, None),
]
"""Noon of the fifth: thirteen hours ago is yesterday, six days ago last month."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty ledger."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


async def recalled(url: str, policy: Policy, rows: list[Outcome]) -> dict[str, Standing]:
    """What the limits of a new process say, by name."""
    ledger = SqlStore(url)
    await ledger.open()
    await ledger.write(rows)
    clock = HandClock()
    store = MemoryStore(clock)
    recall = Recall(store, ledger, lambda: policy, clock)
    await recall.poll()
    await recall.poll()
    limits = Limits(store)
    counters = [*limits.counters(policy, Caller("a", "one"), "auto"), *limits.model_counters(policy, "large")]
    standings = await store.peek(counters)
    await ledger.aclose()
    return {counter.name: standing for counter, standing in zip(counters, standings, strict=True)}


async def test_each_budget_begins_with_its_own_share_of_the_ledger(url: str) -> None:
    found = await recalled(url, policy_of(*LIMITS), ROWS)
    assert found == {
        "mine": Standing(day_spent=22, month_spent=222),
        "house": Standing(month_spent=225),
        "way": Standing(month_spent=220),
        "all": Standing(day_spent=25),
        "dear": Standing(month_spent=213),
    }


async def test_an_empty_ledger_says_nothing(url: str) -> None:
    assert set((await recalled(url, policy_of(*LIMITS), [])).values()) == {Standing()}


async def test_paces_are_not_recalled(url: str) -> None:
    pace = policy_of("{name: pace, per: key, requests_per_minute: 9}")
    assert await recalled(url, pace, ROWS) == {"pace": Standing()}
