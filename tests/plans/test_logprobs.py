"""What only the gateway asked for is cut out again, and no other byte is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.trust import SUREST, drafted, sureness
from router.plans.logprobs import without_them

TOKENS = {"content": [{"token": '"logprobs": {', "logprob": -0.1, "bytes": [34], "top_logprobs": []}], "refusal": None}


def completion(logprobs: Any, content: str = 'He said "logprobs": {"a": 1}') -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"id": "x", "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}]}


def chunk(logprobs: Any, content: str) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": {"content": content}, "logprobs": logprobs}]}


@given(st.text(), st.booleans(), st.sampled_from([None, 2]))
def test_an_answer_is_as_if_they_had_never_been_asked_for(text: str, ascii_only: bool, indent: int | None) -> None:
    def written(logprobs: Any) -> bytes:
        whole = json.dumps(completion(logprobs, text), ensure_ascii=ascii_only, indent=indent)
        return whole.encode("utf-8", "surrogatepass")

    assert without_them(written(TOKENS), stream=False) == written(None)
    assert without_them(written(None), stream=False) == written(None)


@given(st.lists(st.text(), min_size=1), st.sampled_from(["\n\n", "\r\n\r\n"]))
def test_a_stream_is_as_if_they_had_never_been_asked_for(texts: list[str], end: str) -> None:
    def written(logprobs: Any) -> bytes:
        events = [f"data: {json.dumps(chunk(logprobs, text))}" for text in texts]
        return end.join([": a comment", *events, "data: [DONE]", ""]).encode()

    assert without_them(written(TOKENS), stream=True) == written(None)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"choices":[{"message":{"content":"x"},"logprobs":{"content":[}]}',
        b'{"logprobs":{"a":1},"choices":[]}',
        b'{"choices":[{"message":{"logprobs":{"a":1}}}]}',
        b'\xff"logprobs":{}',
        b"",
    ],
)
def test_what_is_not_sure_stays_as_it_came(odd: bytes) -> None:
    assert without_them(odd, stream=False) == odd
    assert without_them(b"data: " + odd + b"\n\n", stream=True) == b"data: " + odd + b"\n\n"


def test_sureness_looks_at_the_tokens_that_are_least_sure() -> None:
    assert sureness([]) is None
    assert sureness([0.0] * 9 + [-100.0]) == pytest.approx(0.0)
    assert sureness([0.0] * 19 + [-100.0]) == pytest.approx(0.0, abs=0.51)
    assert sureness([-0.1] * 100) == pytest.approx(0.905, abs=0.001)
    assert sureness([float("nan"), float("-inf")]) == 0.0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_trust_grows_with_the_predicted_quality_and_with_sureness(quality: float, sure: float, surer: float) -> None:
    low, high = sorted((sure, surer))
    assert 0 <= drafted(quality, low) <= drafted(quality, high) <= drafted(quality, SUREST) <= 1
    assert drafted(quality, None) == quality
    assert drafted(min(1.0, quality + 0.1), low) >= drafted(quality, low)
