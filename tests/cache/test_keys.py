"""Equal keys mean equal requests, and nothing else does."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cache.keys import KEY_BYTES, NOT_ASKED, canonical, key_for

SECRET = b"s" * 32

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["null", "", "\ud83d", "é", "e\u0301", 2**63, 2**64, 1, 1.0, True, 0, -0.0, 0.0])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
bodies = st.dictionaries(st.text(max_size=6), values, max_size=4)
names = st.text(max_size=6)


def exact(value: Any) -> Any:
    """A value in which == tells apart all that JSON tells apart: types, the sign of zero, but not the order of keys."""
    if isinstance(value, dict):
        return ("object", frozenset((name, exact(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(exact(inner) for inner in value))
    return (type(value).__name__, repr(value))


def asked(body: dict[str, Any]) -> Any:
    return exact({name: value for name, value in body.items() if name not in NOT_ASKED})


def shuffled(value: Any, seed: int) -> Any:
    if isinstance(value, dict):
        items = [(name, shuffled(inner, seed)) for name, inner in value.items()]
        random.Random(seed).shuffle(items)
        return dict(items)
    return [shuffled(inner, seed) for inner in value] if isinstance(value, list) else value


def key(body: dict[str, Any], **changes: Any) -> bytes:
    parts = {"secret": SECRET, "tenant": "acme", "route": "auto", "policy_digest": "p1"} | changes
    return key_for(body=body, **parts)


@given(bodies, bodies)
def test_two_bodies_have_one_key_exactly_when_they_ask_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (key(one) == key(other)) == (asked(one) == asked(other))


@given(bodies, st.text(max_size=6), scalars, scalars)
def test_one_value_changed_for_another_changes_the_key(body: dict[str, Any], name: str, one: Any, other: Any) -> None:
    assert (key(body | {name: one}) == key(body | {name: other})) == (exact(one) == exact(other))


@given(bodies, st.integers())
def test_the_order_of_names_does_not_matter(body: dict[str, Any], seed: int) -> None:
    assert key(shuffled(body, seed)) == key(body)


@given(st.tuples(names, st.none() | names, names), st.tuples(names, st.none() | names, names))
def test_another_tenant_route_or_policy_never_has_the_same_key(one: Any, other: Any) -> None:
    body = {"messages": []}
    keys = [key(body, tenant=tenant, route=route, policy_digest=digest) for tenant, route, digest in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@given(bodies, st.sampled_from(sorted(NOT_ASKED)), values)
def test_how_an_answer_is_sent_or_billed_does_not_matter(body: dict[str, Any], name: str, value: Any) -> None:
    body.pop(name, None)
    assert key(body | {name: value}) == key(body)


@pytest.mark.parametrize("name", sorted(NOT_ASKED))
def test_inside_of_a_message_the_same_names_do_matter(name: str) -> None:
    assert key({"messages": [{name: 1}]}) != key({"messages": [{name: 2}]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "true"),
        ("0", "false"),
        ("0.0", "-0.0"),
        ("1e999", "null"),
        ("1e999", "-1e999"),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        ("18446744073709551616", "18446744073709551616.0"),
        ('"\\ud83d"', '"\\ud83e"'),
        ('"\\u00e9"', '"e\\u0301"'),
        ('"null"', "null"),
        ('"1"', "1"),
        ("[]", "{}"),
        ("[[1],2]", "[1,[2]]"),
    ],
)
def test_look_alikes_are_told_apart(one: str, other: str) -> None:
    assert key({"x": json.loads(one)}) != key({"x": json.loads(other)})


def test_escaped_and_literal_unicode_are_the_same_text() -> None:
    assert key(json.loads('{"x": "\\u00e9\\ud83d\\ude00"}')) == key(json.loads('{"x": "é😀"}'))


def test_models_named_outright_never_share_an_answer() -> None:
    assert key({"model": "small"}, route=None) != key({"model": "large"}, route=None)


def test_without_the_secret_the_key_cannot_be_guessed() -> None:
    assert key({"x": 1}, secret=b"a" * 32) != key({"x": 1}, secret=b"b" * 32)


def test_a_key_has_32_bytes_and_leaves_the_body_as_it_was() -> None:
    body = {"stream": True, "messages": [{"role": "user", "content": "hi"}]}
    before = copy.deepcopy(body)
    assert len(key(body)) == KEY_BYTES
    assert body == before


@given(bodies)
def test_the_canonical_spelling_can_be_read_back_to_the_same_value(body: dict[str, Any]) -> None:
    assert exact(json.loads(canonical(body)[1:])) == exact(body)
