"""The watch finds drift where traffic changed its domain and nowhere else, and takes back a judge that is worse.

On SQLite and on PostgreSQL. Labels are SIMULATED; prompts are the seed's.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from classifiers.artefact import unpack
from router.errors import StoreAway, StoreBusy
from router.learning.drifting import FIRST, SPANS, keep_reference, kept_reference, sampled
from router.learning.rounds import ALONE, once
from router.learning.watching import Watch
from router.ledger.contract import NewLabel
from router.ledger.drift_report import drift_document
from router.ledger.findings import Findings
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.window import Window
from tests.learning.traffic import EVERYDAY, SHIPPED_NAME, TECHNICAL, another, ask
from tests.ledger.conftest import lasting_postgres_url, store, store_url

__all__ = ["lasting_postgres_url", "store", "store_url"]

DAY = 86_400.0


def watch_of(store: SqlStore, **more: object) -> Watch:
    return Watch(store, tier="fast", **more)  # type: ignore[arg-type]


async def a_canary(store: SqlStore, folder: Path, share: float = 0.5, **report: object) -> tuple[str, str]:
    """(sha256, name) of a new artefact that judges a share."""
    packed, name = another(folder / "candidate")
    registry = Registry(store)
    sha256 = await registry.save(packed, report)
    await registry.promote(sha256, "ann", share=share)
    return sha256, name


async def test_traffic_that_changes_its_domain_is_drift_and_more_of_the_same_is_none(
    store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    now = time.time()
    await ask(store, EVERYDAY, FIRST, since=now - 3 * DAY, until=now - 2 * DAY)
    await ask(store, EVERYDAY, 600, since=now - 0.9 * DAY, seed=1)
    watch = watch_of(store)
    with caplog.at_level(logging.INFO):
        same = await watch.turn()
        assert same.drift is not None and not same.drift["alarm"] and not same.needs_a_look
        await ask(store, TECHNICAL, 1_800, since=now - 0.9 * DAY, seed=2)
        changed = await watch.turn()
        again = await watch_of(store).turn()
    assert changed.drift is not None and {"features", "tasks"} <= set(changed.drift["alarms"])
    assert changed.needs_a_look and again.needs_a_look
    assert len([record for record in caplog.records if record.getMessage().startswith("drift against")]) == 1
    document = await drift_document(Findings(store))
    assert document["reference"] == {"artefact": SHIPPED_NAME, "origin": "first requests", "n": FIRST}
    assert [look["alarm"] for look in document["history"]] == [True, True, False]


async def test_the_end_of_drift_is_said(store: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    now = time.time()
    await ask(store, EVERYDAY, FIRST, since=now - 3 * DAY, until=now - 2 * DAY)
    await ask(store, TECHNICAL, 600, since=now - 0.9 * DAY, until=now - 0.6 * DAY, seed=2)
    await ask(store, EVERYDAY, 600, since=now - 0.4 * DAY, seed=3)
    with caplog.at_level(logging.INFO):
        assert (await watch_of(store).turn()).needs_a_look
        assert not (await watch_of(store, window_seconds=0.4 * DAY).turn()).needs_a_look
    assert any(record.getMessage().startswith("drift is over") for record in caplog.records)


async def test_before_there_are_enough_requests_the_watch_says_how_many_it_has(store: SqlStore) -> None:
    await ask(store, EVERYDAY, 40, since=time.time() - DAY)
    turn = await watch_of(store).turn()
    assert turn.drift is None and "40 of the first 1000" in turn.notes[0]


async def test_a_retrained_judge_is_held_against_what_it_was_trained_on(store: SqlStore, tmp_path: Path) -> None:
    now = time.time()
    packed, _ = another(tmp_path / "candidate")
    sha256 = await Registry(store).save(packed, {})
    await ask(store, TECHNICAL, 900, since=now - 9 * DAY, until=now - 2 * DAY)
    trained_on = Window(now - 10 * DAY, now - 2 * DAY)
    await keep_reference(store, trained_on, unpack(packed, tmp_path / "unpacked"), sha256)
    await Registry(store).promote(sha256, "retrain")
    await ask(store, EVERYDAY, 400, since=now - 0.5 * DAY, seed=4)
    turn = await watch_of(store).turn()
    assert turn.drift is not None and "tasks" in turn.drift["alarms"]
    assert turn.drift["reference"] == {"artefact": sha256, "origin": "training", "n": 900}
    kept = await kept_reference(store, sha256)
    assert kept is not None and kept.until_unix == trained_on.until_unix


async def test_a_large_window_is_read_as_a_sample_of_all_of_it(store: SqlStore) -> None:
    now = time.time()
    await ask(store, EVERYDAY, 3_000, since=now - DAY)
    rows = [row async for batch in sampled(store, Window(now - DAY, now)) for row in batch]
    assert len(rows) == len({row.request_id for row in rows}) == 3_000
    edges = [row.at_unix async for batch in sampled(store, Window(now - DAY, now)) for row in batch[:1]]
    assert len(edges) == SPANS


async def test_a_canary_that_is_worse_is_rolled_back_with_the_reason(store: SqlStore, tmp_path: Path) -> None:
    sha256, name = await a_canary(store, tmp_path)
    began = (await Registry(store).history())[0].at_unix
    await ask(store, EVERYDAY, 300, since=began, until=began + 1, judge=SHIPPED_NAME, good=0.9, audited=True)
    await ask(store, EVERYDAY, 300, since=began, until=began + 1, judge=name, good=0.3, audited=True, seed=1)
    turn = await watch_of(store).turn()
    assert turn.did == "rolled back" and turn.needs_a_look
    standing, newest = await Registry(store).standing(), (await Registry(store).history())[0]
    assert standing.canary is None and (newest.action, newest.by) == ("rollback", "watch")
    assert newest.reason == turn.reason is not None and "300 conversations against 0." in turn.reason
    found = await Findings(store).newest("canary", sha256)
    assert found is not None and found.alarm and found.document["told"]["basis"] == "audits"
    assert (await watch_of(store).turn()).did is None


async def test_a_canary_that_is_not_worse_is_promoted_only_where_that_is_wanted(
    store: SqlStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sha256, name = await a_canary(store, tmp_path)
    began = (await Registry(store).history())[0].at_unix
    await ask(store, EVERYDAY, 800, since=began, until=began + 1, judge=SHIPPED_NAME, good=0.5)
    await ask(store, EVERYDAY, 800, since=began, until=began + 1, judge=name, good=0.9, seed=1)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert (await watch_of(store).turn()).did is None
        few = await watch_of(store, wanted=10_000, promote=True).turn()
        assert few.did is None
    assert len([record for record in caplog.records if "may be promoted" in record.getMessage()]) == 1
    assert (await watch_of(store, promote=True).turn()).did == "promoted"
    standing = await Registry(store).standing()
    assert (standing.current, standing.canary) == (sha256, None)


async def test_a_promoted_judge_that_falls_below_what_the_gate_expected_is_rolled_back(
    store: SqlStore, tmp_path: Path
) -> None:
    sha256, name = await a_canary(store, tmp_path, expected={"low": 0.8, "high": 0.9})
    registry = Registry(store)
    await registry.promote(sha256, "ann")
    since = (await registry.history())[0].at_unix
    await ask(store, EVERYDAY, 200, since=since, until=since + 1, judge=name, good=0.9, audited=True)
    holds = await watch_of(store).turn()
    assert holds.did is None and holds.promotion is not None and not holds.promotion["told"]["fell"]
    await ask(store, EVERYDAY, 600, since=since + 1, until=since + 2, judge=name, good=0.3, audited=True, seed=1)
    fell = await watch_of(store).turn()
    assert fell.did == "rolled back" and fell.reason is not None and "0.800 or more was expected" in fell.reason
    assert await registry.current() is None


async def test_labels_of_a_key_that_is_called_audit_are_no_audits(store: SqlStore, tmp_path: Path) -> None:
    sha256, name = await a_canary(store, tmp_path, expected={"low": 0.8, "high": 0.9})
    await Registry(store).promote(sha256, "ann")
    since = (await Registry(store).history())[0].at_unix
    await ask(store, EVERYDAY, 400, since=since, until=since + 1, judge=name)
    names = [f"req_{name}_0_{number:05}" for number in range(400)]
    await store.add_labels("acme", [NewLabel(one, "audit", "user", 0.0) for one in names])
    turn = await watch_of(store).turn()
    assert turn.did is None and turn.promotion is not None and turn.promotion["told"]["n"] == 0


async def test_without_a_gates_interval_the_one_beside_the_canary_is_what_is_expected(
    store: SqlStore, tmp_path: Path
) -> None:
    sha256, name = await a_canary(store, tmp_path)
    registry = Registry(store)
    began = (await registry.history())[0].at_unix
    await ask(store, EVERYDAY, 400, since=began, until=began + 1, judge=SHIPPED_NAME, good=0.9)
    await ask(store, EVERYDAY, 400, since=began, until=began + 1, judge=name, good=0.9, seed=1)
    await watch_of(store).turn()
    await registry.promote(sha256, "ann")
    since = (await registry.history())[0].at_unix
    await ask(store, EVERYDAY, 600, since=since, until=since + 1, judge=name, good=0.4, seed=2)
    assert (await watch_of(store).turn()).did == "rolled back"


async def test_a_promotion_that_nothing_was_expected_of_stays_and_that_is_said(store: SqlStore, tmp_path: Path) -> None:
    sha256, _ = await a_canary(store, tmp_path)
    await Registry(store).promote(sha256, "ann")
    turn = await watch_of(store).turn()
    assert turn.did is None and any("nothing was expected" in note for note in turn.notes)


async def test_an_artefact_that_cannot_be_read_stops_nothing(store: SqlStore) -> None:
    registry = Registry(store)
    await registry.promote(await registry.save(b"no artefact", {}), "ann")
    await registry.promote(await registry.save(b"neither", {}), "ann", share=0.5)
    turn = await watch_of(store).turn()
    assert turn.judge == SHIPPED_NAME and len([note for note in turn.notes if "cannot be read" in note]) == 2


async def test_only_one_watch_looks_after_a_ledger(store: SqlStore) -> None:
    async with store.alone(ALONE):
        with pytest.raises(StoreBusy, match="another watch"):
            await once(store, watch_of(store))
    await once(store, watch_of(store))


async def test_a_watch_without_its_database_says_so() -> None:
    away = SqlStore("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreAway):
        await once(away, watch_of(away))
    await away.aclose()
