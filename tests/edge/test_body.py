"""Bodies are parsed once and strictly, and spliced without touching a byte that was not meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.body import MAX_DEPTH, parse_body
from router.errors import BadRequest

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.text(max_size=8), json_values, max_size=6)
layouts = st.sampled_from([(None, (",", ":")), (2, (",", ": ")), (None, (" , ", " : "))])


def is_utf8(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@given(objects.filter(is_utf8), layouts, st.booleans())
def test_a_body_means_what_json_says_it_means(value: dict, layout: tuple, ascii_only: bool) -> None:
    indent, separators = layout
    raw = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only).encode()
    assert parse_body(raw).values == value


@given(objects.filter(is_utf8), layouts, st.booleans(), json_values.filter(is_utf8))
def test_splicing_changes_the_named_member_and_not_a_byte_else(
    value: dict, layout: tuple, ascii_only: bool, new: object
) -> None:
    indent, separators = layout
    raw = json.dumps({**value, "model": "old"}, indent=indent, separators=separators, ensure_ascii=ascii_only).encode()
    body = parse_body(raw)
    replacement = json.dumps(new)
    spliced = body.splice({"model": replacement})
    assert json.loads(spliced) == {**value, "model": new}
    start, end = body.spans["model"]
    text = raw.decode()
    assert spliced.decode() == text[:start] + replacement + text[end:]


@given(objects.filter(is_utf8).filter(lambda value: "stream_options" not in value), layouts)
def test_a_missing_member_is_added_at_the_end(value: dict, layout: tuple) -> None:
    indent, separators = layout
    raw = json.dumps(value, indent=indent, separators=separators).encode()
    spliced = parse_body(raw).splice({"stream_options": '{"include_usage":true}'})
    assert json.loads(spliced) == {**value, "stream_options": {"include_usage": True}}


def test_several_members_are_spliced_in_one_go() -> None:
    body = parse_body(b'{"stream_options":null,"x":1,"model":"a"}')
    assert body.splice({"model": '"b"', "stream_options": "{}"}) == b'{"stream_options":{},"x":1,"model":"b"}'


def test_numbers_keep_every_digit() -> None:
    raw = b'{"seed":123456789012345678901234567890,"t":0.10000000000000000001,"model":"a"}'
    assert parse_body(raw).splice({"model": '"b"'}) == raw.replace(b'"a"', b'"b"')


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"", None),
        (b"null", None),
        (b"[]", None),
        (b'"text"', None),
        (b"{", None),
        (b'{"a"}', None),
        (b'{"a":1,}', None),
        (b'{"a":1}}', None),
        (b'{"a":1} {"b":2}', None),
        (b'{"a":01}', None),
        (b"{'a':1}", None),
        (b'{"a":"\n"}', "a"),
        (b'{"a":tru}', "a"),
        (b'{"a":NaN}', "a"),
        (b'{"a":[1,{"b":Infinity}]}', "a"),
        (b'{"a":-Infinity}', "a"),
        (b'{"a":"\\ud800"}', "a"),
        (b'{"a":{"b":["\\udc00x"]}}', "a"),
        (b'{"a":{"\\ud800":1}}', "a"),
        (b'{"a":1,"a":1}', "a"),
        (b'{"m":[{"role":"user","role":"user"}]}', "m"),
        (b'{"a":"\xff"}', None),
        (b"\xef\xbb\xbf{}", None),
        (b'{"a":' + b"9" * 5000 + b"}", "a"),
        (b'{"a":' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}", None),
        (b'{"a":' + b"[" * 200_000, None),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, None),
    ],
)
def test_what_is_not_strict_json_is_refused_by_name(raw: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_body(raw)
    assert refused.value.status == 400
    assert refused.value.param == param


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(raw: bytes) -> None:
    try:
        parse_body(b'{"a":' + raw)
    except BadRequest:
        pass


def test_a_surrogate_pair_is_a_character() -> None:
    assert parse_body(b'{"a":"\\ud83d\\ude00"}').values == {"a": "\U0001f600"}


def test_nesting_up_to_the_limit_is_fine() -> None:
    inner = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert parse_body(b'{"a":' + inner + b"}").values["a"] is not None
