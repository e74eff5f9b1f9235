"""What is written into Redis comes back whole, and only where it was put, by whom it was put."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cache.contract import CachedAnswer
from router.cache.values import NewerFormat, Unreadable, pack, unpack
from router.domain import Usage

from .answers import stored

SECRET, KEY = b"s" * 32, b"k" * 32
VALUE = pack(SECRET, KEY, stored())

counts = st.integers(0, 2**53)
answers = st.builds(
    CachedAnswer,
    body=st.binary(max_size=300),
    model=st.text(max_size=20, alphabet=st.characters(codec="utf-8")),
    complexity=st.none() | st.floats(0, 1),
    usage=st.builds(Usage, counts, counts, counts, counts, counts, st.booleans()),
    stored_at=st.floats(0, 1e11),
)


@given(answers)
def test_an_answer_comes_back_whole(answer: CachedAnswer) -> None:
    assert unpack(SECRET, KEY, pack(SECRET, KEY, answer)) == answer


@given(st.integers(0, len(VALUE) * 8 - 1))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    damaged = bytearray(VALUE)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises((Unreadable, NewerFormat)):
        unpack(SECRET, KEY, bytes(damaged))


@given(st.integers(0, len(VALUE) - 1), st.binary(min_size=1, max_size=4))
def test_a_value_cut_short_or_grown_is_noticed(length: int, more: bytes) -> None:
    for damaged in (VALUE[:length], VALUE + more):
        with pytest.raises(Unreadable):
            unpack(SECRET, KEY, damaged)


@given(st.binary(max_size=100))
def test_foreign_bytes_are_unreadable(value: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(SECRET, KEY, value)


def test_a_value_is_read_only_under_its_own_key_and_by_its_own_secret() -> None:
    for secret, key in ((SECRET, b"K" * 32), (b"S" * 32, KEY)):
        with pytest.raises(Unreadable):
            unpack(secret, key, VALUE)


def test_a_newer_format_is_told_from_damage() -> None:
    with pytest.raises(NewerFormat):
        unpack(SECRET, KEY, VALUE[:3] + b"\x02" + VALUE[4:])
