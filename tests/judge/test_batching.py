"""One thread takes what waits in batches; who left is not computed, and what fails costs its own batch alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from classifiers.batching import Batcher, Full


class Doubling:
    """Doubles numbers; holds the first batch until told. Keeps what it was asked."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.began.set()
        assert self.go.wait(10)
        if 13 in numbers:
            raise ArithmeticError("thirteen")
        return [2 * number for number in numbers]


Make = Callable[..., Batcher[int, int]]


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


@pytest.fixture
def make(doubling: Doubling) -> Iterator[Make]:
    """Batchers that are closed after the test, and busy with the number 0 until `doubling.go` is set."""
    made: list[Batcher[int, int]] = []

    def batcher(**more: object) -> Batcher[int, int]:
        made.append(Batcher(doubling, **more))  # type: ignore[arg-type]
        made[-1].submit(0)
        assert doubling.began.wait(10)
        return made[-1]

    yield batcher
    doubling.go.set()
    assert all(batcher.close() for batcher in made)


def test_what_waits_goes_as_one_batch_and_everyone_gets_their_own_result(doubling: Doubling, make: Make) -> None:
    batcher = make()
    futures = {number: batcher.submit(number) for number in range(1, 6)}
    doubling.go.set()
    assert {number: future.result(10) for number, future in futures.items()} == {n: 2 * n for n in range(1, 6)}
    assert [sorted(batch) for batch in doubling.batches] == [[0], [1, 2, 3, 4, 5]]


def test_a_batch_is_bounded_in_number_and_in_weight_as_padded(doubling: Doubling, make: Make) -> None:
    batcher = make(weigh=lambda number: float(number), heaviest=100.0, most=4)
    futures = [batcher.submit(number) for number in (90, 5, 5, 5, 5, 5, 60, 30)]
    doubling.go.set()
    assert [future.result(10) for future in futures] == [180, 10, 10, 10, 10, 10, 120, 60]
    for batch in doubling.batches[1:]:
        assert len(batch) <= 4
        assert len(batch) == 1 or max(batch) * len(batch) <= 100


def test_the_newest_are_taken_first(doubling: Doubling, make: Make) -> None:
    batcher = make(most=1)
    futures = [batcher.submit(number) for number in (1, 2, 3)]
    doubling.go.set()
    assert [future.result(10) for future in futures] == [2, 4, 6]
    assert doubling.batches == [[0], [3], [2], [1]]


def test_who_left_while_waiting_is_not_computed(doubling: Doubling, make: Make) -> None:
    batcher = make()
    left, stays = batcher.submit(1), batcher.submit(2)
    assert left.cancel()
    doubling.go.set()
    assert stays.result(10) == 4
    assert doubling.batches == [[0], [2]]


def test_as_many_wait_as_may_and_those_who_left_give_their_room_back(doubling: Doubling, make: Make) -> None:
    batcher = make(room=2)
    first = batcher.submit(1)
    batcher.submit(2)
    with pytest.raises(Full):
        batcher.submit(3)
    first.cancel()
    batcher.submit(4)
    assert batcher.waiting == 2


def test_what_fails_costs_its_own_batch_alone(doubling: Doubling, make: Make) -> None:
    batcher = make(most=2)
    bad = [batcher.submit(13), batcher.submit(14)]
    doubling.go.set()
    for future in bad:
        with pytest.raises(ArithmeticError):
            future.result(10)
    assert batcher.submit(5).result(10) == 10


def test_too_few_results_are_a_failure_and_not_somebody_elses_result() -> None:
    batcher: Batcher[int, int] = Batcher(lambda numbers: [])
    with pytest.raises(RuntimeError):
        batcher.submit(1).result(10)
    assert batcher.close()


def test_closing_fails_what_waits_finishes_what_runs_and_leaves_no_thread(doubling: Doubling, make: Make) -> None:
    before = threading.active_count()
    batcher: Batcher[int, int] = Batcher(doubling)
    running = batcher.submit(0)
    assert doubling.began.wait(10)
    waiting = batcher.submit(1)
    assert not batcher.close(0.01), "it cannot end before its batch"
    with pytest.raises(Full):
        waiting.result(10)
    with pytest.raises(Full):
        batcher.submit(2)
    doubling.go.set()
    assert batcher.close()
    assert running.result(10) == 0
    assert threading.active_count() == before
