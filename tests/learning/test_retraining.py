"""From a ledger to a promoted judge, through a real store: labels teach, noise does not, and the registry holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from classifiers.artefact import DEFAULT_FOLDER, Artefact, load_default, pack, unpack
from classifiers.contract import AskText, LoggedDecision, ModelCard
from classifiers.learned import LearnedClassifier
from classifiers.tiers import load_tier
from classifiers.training.dataset import seed_rows
from classifiers.training.retrain import RetrainReport, retrain_from_logs
from router.domain import Outcome, Usage
from router.errors import NotFound, StoreBusy
from router.learning.retrain import Retraining, retrain
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.window import read_window

CURRENT = load_default()
ASKS = [row.ask for row in seed_rows()[::4]]
VECTORS = np.stack([CURRENT.featurise(ask) for ask in ASKS])
BELIEVED = np.array([1 - LearnedClassifier(CURRENT).assess_features(vector, ()).complexity for vector in VECTORS])
MIDDLE = float(np.median(BELIEVED))
SMALL = ModelCard("local", "acme/tiny-3b", "small")


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{file}")
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with opened(tmp_path / "ledger.sqlite3") as store:
        yield store


async def logged(
    store: SqlStore, count: int, good: Callable[[int], float], *, seed: int = 0, private: bool = False, ago: float = 0.0
) -> None:
    """Labelled requests that the small model answered; `good` gives the chance that an ask was answered well."""
    random = np.random.default_rng(seed)
    now, rows, scores = time.time() - ago, [], []
    for number, index in enumerate(random.choice(len(VECTORS), count, replace=False)):
        row = Outcome(f"req_{seed}_{number:05}", now - count + number, "acme", "web", status=200)
        row.model, row.decided_model, row.upstream_model, row.tier = SMALL.name, SMALL.name, SMALL.model, SMALL.tier
        row.usage, row.cost_nano, row.probability, row.eligible = Usage(10, output=10), 1, 1.0, {SMALL.name: True}
        if not private:
            row.features, row.features_digest = VECTORS[index], CURRENT.featurise.digest
        rows.append(row)
        scores.append(float(random.random() < good(int(index))))
    await store.write(rows)
    for row, score in zip(rows, scores, strict=True):
        await store.add_label(row.request_id, "acme", "web", "verifier", score)


async def run(store: SqlStore, *, promote: bool = True) -> Retraining:
    return await retrain(store, read_window("1d"), promote=promote, by="tests")


def much_worse(index: int) -> float:
    """A small model that is right on the easier half of the asks alone; the shipped judge believes more of it."""
    return 0.9 if BELIEVED[index] > MIDDLE else 0.1


async def test_enough_labels_make_a_candidate_with_an_interval_that_is_promoted(
    store: SqlStore, tmp_path: Path
) -> None:
    await logged(store, 300, much_worse)
    done = await run(store)
    assert (done.labelled, done.held_out, done.passed, done.promoted) == (300, 180, True, True)
    assert done.evidence is not None
    difference = done.evidence.comparison.difference
    assert difference.value is not None and difference.value < 0
    assert difference.low is not None and difference.high is not None
    assert difference.low <= difference.value <= difference.high
    registry = Registry(store)
    assert await registry.current() == done.sha256
    [kept] = await registry.list()
    assert (kept.parent, kept.metrics["passed"], kept.current) == (None, True, True)
    taught = LearnedClassifier(unpack(await registry.fetch(kept.sha256), tmp_path / "taught"))
    ask = AskText("Compare two sorting algorithms and say when each is better.")
    assert taught.assess(ask, (SMALL,)).complexity > LearnedClassifier(CURRENT).assess(ask, (SMALL,)).complexity


async def test_without_promote_the_candidate_is_kept_and_the_judge_stays(store: SqlStore) -> None:
    await logged(store, 300, much_worse)
    done = await run(store, promote=False)
    registry = Registry(store)
    assert (done.passed, done.promoted, await registry.current()) == (True, False, None)
    assert [kept.sha256 for kept in await registry.list()] == [done.sha256]


@pytest.mark.parametrize("count", [0, 1, 12])
async def test_too_few_labels_teach_nothing(store: SqlStore, count: int) -> None:
    await logged(store, count, much_worse)
    done = await run(store)
    assert (done.labelled, done.sha256, done.passed, done.promoted) == (count, None, False, False)
    assert "nothing was learned" in done.reason
    assert await Registry(store).list() == ()


async def test_labels_that_only_confirm_the_judge_hardly_ever_promote(tmp_path: Path) -> None:
    promoted = 0
    for seed in range(5):
        async with opened(tmp_path / f"{seed}.sqlite3") as store:
            await logged(store, 160, lambda index: float(BELIEVED[index]), seed=seed)
            done = await run(store)
            assert (await Registry(store).current() is not None) == done.promoted
            promoted += done.promoted
    assert promoted <= 1


async def test_private_asks_have_no_features_and_teach_nothing(store: SqlStore) -> None:
    await logged(store, 100, much_worse, private=True)
    done = await run(store)
    assert (done.labelled, done.counts.unreadable, done.report.used, done.sha256) == (100, 100, 0, None)


async def test_a_second_retraining_starts_from_the_promoted_judge_and_rolls_back_to_it(store: SqlStore) -> None:
    registry = Registry(store)
    await logged(store, 160, much_worse, ago=900.0)
    first = await run(store)
    await logged(store, 300, lambda index: 0.35 * much_worse(index), seed=1)
    second = await run(store)
    assert second.promoted and second.sha256 != first.sha256
    newest = next(kept for kept in await registry.list() if kept.current)
    assert newest.parent == first.sha256
    assert await registry.rollback("tests") == first.sha256
    assert await registry.rollback("tests") is None
    with pytest.raises(NotFound):
        await registry.rollback("tests")


async def test_a_candidate_is_not_promoted_over_a_judge_that_it_was_not_compared_with(tmp_path: Path) -> None:
    async def promote_another() -> None:
        async with opened(tmp_path / "ledger.sqlite3") as other:
            registry = Registry(other)
            await registry.promote(await registry.save(pack(DEFAULT_FOLDER), {}), "ann")

    def fit(rows: Sequence[LoggedDecision]) -> tuple[Artefact, RetrainReport]:
        with ThreadPoolExecutor(1) as beside:
            beside.submit(asyncio.run, promote_another()).result()
        return retrain_from_logs(rows, CURRENT)

    async with opened(tmp_path / "ledger.sqlite3") as store:
        await logged(store, 300, much_worse)
        done = await retrain(store, read_window("1d"), promote=True, by="tests", fit=fit)
        assert (done.passed, done.promoted) == (True, False) and "somebody has promoted" in done.reason
        [entry] = await Registry(store).history()
        assert entry.by == "ann" and entry.sha256 != done.sha256
        assert done.sha256 in {kept.sha256 for kept in await Registry(store).list()}


async def test_of_two_retrainings_at_once_one_is_refused_and_the_other_promotes(
    store: SqlStore, tmp_path: Path
) -> None:
    await logged(store, 160, much_worse)
    async with opened(tmp_path / "ledger.sqlite3") as other:
        both = await asyncio.gather(run(store), run(other), return_exceptions=True)
    [done] = [one for one in both if isinstance(one, Retraining)]
    [refused] = [one for one in both if isinstance(one, StoreBusy)]
    assert "another retraining is running" in str(refused)
    registry = Registry(store)
    assert await registry.current() == done.sha256 and len(await registry.history()) == 1
    unpack(await registry.fetch(str(done.sha256)), tmp_path / "current")


async def test_a_tier_is_retrained_from_its_own_artefact_whatever_is_current(store: SqlStore, tmp_path: Path) -> None:
    said: list[str] = []
    registry = Registry(store)
    await registry.promote(await registry.save(pack(DEFAULT_FOLDER), {}), "tests")
    for tier in ("fast", "encoder"):
        done = await retrain(store, read_window("1d"), promote=False, by="tests", tier=tier, say=said.append)
        assert not done.report.changed
    assert [line for line in said if line.startswith("current")] == [
        f"current judge: fast@{load_default().digest}",
        f"current judge: encoder@{load_tier('encoder').digest}",
    ]
