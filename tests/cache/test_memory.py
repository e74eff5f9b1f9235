"""The cache in the process stays within its bound and forgets what was used least."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from router.cache.contract import CachedAnswer
from router.cache.memory import MemoryCache
from router.cache.off import NoCache
from router.domain import Usage

from .answers import stored


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def numbered(number: int, size: int = 10) -> CachedAnswer:
    """An entry in which no object is shared with another, as entries made of parsed answers are."""
    counts = Usage(1000 + number, 2000 + number, 3000 + number, 4000 + number, 5000 + number)
    return CachedAnswer(os.urandom(size), f"model-{number}", number / 7, counts, number / 3)


async def test_an_entry_is_gone_when_its_time_is_over_and_frees_its_bytes() -> None:
    clock = Clock()
    cache = MemoryCache(100_000, clock=clock)
    await cache.put(b"a", stored(), 10)
    await cache.put(b"b", stored(), 20)
    clock.now += 9.999
    assert await cache.get(b"a") == stored()
    clock.now += 0.001
    assert await cache.get(b"a") is None
    assert await cache.get(b"b") == stored()
    assert len(cache) == 1
    clock.now += 10
    assert await cache.get(b"b") is None
    assert (len(cache), cache.size_bytes) == (0, 0)


async def test_what_was_used_least_recently_goes_first() -> None:
    cache = MemoryCache(100_000)
    await cache.put(b"used", stored(bytes(1000)), 60)
    await cache.put(b"left alone", stored(bytes(1000)), 60)
    for number in range(100):
        await cache.get(b"used")
        await cache.put(number.to_bytes(4, "big"), stored(bytes(1000)), 60)
    assert await cache.get(b"used") is not None
    assert await cache.get(b"left alone") is None
    assert 10 < len(cache) < 100


async def test_an_answer_that_would_push_out_all_others_is_not_kept() -> None:
    cache = MemoryCache(100_000)
    await cache.put(b"small", stored(), 60)
    await cache.put(b"huge", stored(bytes(50_000)), 60)
    assert await cache.get(b"huge") is None
    assert await cache.get(b"small") == stored()


async def test_an_answer_too_big_to_keep_still_displaces_the_old_one() -> None:
    cache = MemoryCache(100_000)
    await cache.put(b"k", stored(), 60)
    await cache.put(b"k", stored(bytes(50_000)), 60)
    assert await cache.get(b"k") is None


keys = st.sampled_from([bytes([number]) * 32 for number in range(12)])
steps = st.lists(
    st.tuples(st.just("get"), keys, st.just(0), st.just(0))
    | st.tuples(st.just("put"), keys, st.integers(0, 3000), st.integers(0, 5))
    | st.tuples(st.just("tick"), st.just(b""), st.just(0), st.integers(0, 3)),
    max_size=60,
)


@given(steps)
async def test_it_behaves_as_a_plain_list_of_entries_in_order_of_use(
    steps: list[tuple[str, bytes, int, int]],
) -> None:
    clock, model = Clock(), OrderedDict[bytes, tuple[CachedAnswer, float]]()
    bound = 16_000
    cache = MemoryCache(bound, clock=clock)
    for what, key, size, seconds in steps:
        if what == "tick":
            clock.now += seconds
        elif what == "put":
            answer = stored(bytes(size))
            await cache.put(key, answer, seconds)
            model.pop(key, None)
            model[key] = (answer, clock.now + seconds)
        else:
            found = await cache.get(key)
            answer_and_end = model.get(key)
            if found is not None:
                assert answer_and_end is not None and found == answer_and_end[0] and clock.now < answer_and_end[1]
                model.move_to_end(key)
            elif answer_and_end is not None and clock.now < answer_and_end[1]:
                # forgotten before its end: only because what was used since fills the bound
                later = list(model.values())[list(model).index(key) :]
                assert (
                    len(answer_and_end[0].body) * 8 > bound - 8 * 1200
                    or sum(len(entry.body) + 1200 for entry, _ in later) > bound
                )
                del model[key]
        assert 0 <= cache.size_bytes <= bound
        assert (cache.size_bytes == 0) == (len(cache) == 0)


async def test_a_hundred_thousand_entries_keep_real_memory_within_the_bound() -> None:
    bound = 2 * 1024 * 1024
    cache = MemoryCache(bound)

    async def put(numbers: range) -> int:
        for number in numbers:
            await cache.put(number.to_bytes(32, "big"), numbered(number), 60)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()  # it slows everything down, so only the first of many fillings are traced
    try:
        first, second = await put(range(8_000)), await put(range(8_000, 16_000))
    finally:
        tracemalloc.stop()
    assert bound * 0.6 < second < bound
    assert abs(second - first) < bound * 0.1
    full = (len(cache), cache.size_bytes // 10_000)
    await put(range(16_000, 100_000))
    assert (len(cache), cache.size_bytes // 10_000) == full


async def test_no_cache_forgets_everything_and_says_so() -> None:
    cache = NoCache()
    await cache.put(b"k", stored(), 60)
    assert await cache.get(b"k") is None
    assert cache.state == "off"
    await cache.aclose()
