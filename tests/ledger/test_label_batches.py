"""Labels by the batch, on both databases: the latest of each request, key and source stays."""

from __future__ import annotations

import asyncio
import time

from router.ledger import reports
from router.ledger.contract import NewLabel
from router.ledger.store import SqlStore

from .outcomes import an_outcome


async def scores(store: SqlStore, request_id: str) -> dict[tuple[str, str], float]:
    story = await reports.request(store, request_id)
    assert story is not None
    return {(label.key, label.source): label.score for label in story.labels}


async def test_one_batch_may_speak_of_many_requests_and_twice_of_one(store: SqlStore) -> None:
    one, other = an_outcome(), an_outcome()
    await store.write([one, other])
    given = [
        NewLabel(one.request_id, "web", "user", 1.0),
        NewLabel(other.request_id, "web", "user", 1.0, comment="a\0b"),
        NewLabel(one.request_id, "web", "user", 0.0),
        NewLabel(one.request_id, "web", "verifier", 0.5),
        NewLabel(one.request_id, "app", "user", 0.75),
    ]
    for _ in range(2):  # sent again, nothing changes
        await store.add_labels("acme", given)
        assert await scores(store, one.request_id) == {
            ("web", "user"): 0.0,
            ("web", "verifier"): 0.5,
            ("app", "user"): 0.75,
        }
        assert await scores(store, other.request_id) == {("web", "user"): 1.0}


async def test_a_label_given_earlier_leaves_a_later_one_alone(store: SqlStore) -> None:
    row, now = an_outcome(), time.time()
    await store.write([row])
    for score, at, expected in ((0.5, now, 0.5), (0.0, now - 60, 0.5), (0.25, now + 1, 0.25), (1.0, None, 1.0)):
        await store.add_labels("acme", [NewLabel(row.request_id, "web", "user", score, at_unix=at)])
        assert await scores(store, row.request_id) == {("web", "user"): expected}
    late = [NewLabel(row.request_id, "late", "user", score, at_unix=now - age) for score, age in ((1.0, 1), (0.0, 2))]
    await store.add_labels("acme", late)
    assert (await scores(store, row.request_id))["late", "user"] == 1.0


async def test_batches_that_name_the_same_answers_in_another_order_never_stand_in_each_others_way(
    store: SqlStore,
) -> None:
    given = [NewLabel(f"req_{number:032x}", "web", "user", 1.0) for number in range(2_000)]
    for _ in range(5):
        await asyncio.gather(*(store.add_labels("acme", given[::step]) for step in (1, -1, 1, -1)))


async def test_a_tenant_knows_its_own_requests_however_many_are_asked_for(store: SqlStore) -> None:
    own, foreign = [an_outcome() for _ in range(1500)], an_outcome(tenant="umbrella")
    await store.write([*own, foreign])
    ids = [row.request_id for row in own]
    assert await store.known_of("acme", [*ids, foreign.request_id, "req_none"]) == set(ids)
    assert await store.known_of("acme", []) == frozenset()
