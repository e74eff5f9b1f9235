"""A retriever is asked over a real socket, in any of the common shapes; a lost one brings nothing, and says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.domain import RetrieverSpec
from router.upstream.passages_told import Passage, read_passages
from router.upstream.retriever import MOST_ANSWER_BYTES, MOST_QUERY_CHARACTERS, Retrieved, Retrievers
from tests.plans.little_retriever import LittleRetriever
from tests.upstream.wire import OK, saying, serving


@pytest.fixture
async def retrievers() -> AsyncIterator[Retrievers]:
    made = Retrievers()
    yield made
    await made.aclose()


async def ask(retrievers: Retrievers, url: str, query: str = "leave?", **spec: Any) -> Retrieved:
    return await retrievers.ask(RetrieverSpec("handbook", url, **{"timeout": 5.0, **spec}), query, "req_1")


async def test_it_is_sent_the_query_and_how_many_with_the_key(retrievers: Retrievers) -> None:
    little = LittleRetriever({"passages": [{"text": "30 days", "title": "Leave", "source": "handbook.pdf"}]})
    async with little.serve() as url:
        found = await ask(retrievers, f"{url}?lang=en", "how many days off?", top=3, api_key="abc")
    assert found.passages == (Passage("30 days", "Leave", "handbook.pdf"),)
    assert (found.status, found.error) == (200, None)
    assert little.asked == [{"query": "how many days off?", "top_k": 3}]
    assert little.heads[0].startswith("POST /search?lang=en HTTP/1.1\r\nhost: 127.0.0.1:")
    assert "authorization: Bearer abc\r\n" in little.heads[0]
    assert "x-request-id: req_1\r\n" in little.heads[0]


async def test_a_connection_is_kept_and_tried_past_when_it_was_closed_meanwhile(retrievers: Retrievers) -> None:
    body = OK + b'content-length: 5\r\n\r\n["a"]'
    async with serving(saying(body)) as server:
        url = f"http://127.0.0.1:{server.origin.port}/"
        assert (await ask(retrievers, url)).passages
        assert (await ask(retrievers, url)).passages
        assert server.connections == 1
    async with serving(saying(body, then_close=True)) as server:
        url = f"http://127.0.0.1:{server.origin.port}/"
        for _ in range(3):
            assert (await ask(retrievers, url)).passages
        assert server.connections == 3


@pytest.mark.parametrize(
    "answer",
    [
        ["30 days"],
        [{"text": "30 days"}],
        {"passages": ["30 days"]},
        {"results": [{"content": "30 days"}]},
        {"documents": [{"page_content": "30 days"}]},
        {"data": [{"passage": "30 days"}]},
        {"passages": [{"document": "30 days"}]},
        {"results": [{"document": {"text": "30 days"}, "relevance_score": 0.9}]},
        {"query": "x", "results": [None, {"score": 1}, "", {"text": " 30 days "}]},
    ],
)
async def test_the_common_shapes_are_understood(retrievers: Retrievers, answer: Any) -> None:
    async with LittleRetriever(answer).serve() as url:
        found = await ask(retrievers, url)
    assert [passage.text for passage in found.passages] == ["30 days"]


def test_names_come_from_the_passage_or_its_metadata() -> None:
    told = (
        b'[{"page_content": "x", "metadata": {"source": "a.pdf", "title": "A"}}, {"text": "y", "id": 7, "title": "B"}]'
    )
    assert read_passages(told, 5) == (Passage("x", "A", "a.pdf"), Passage("y", "B", "7"))
    assert len(read_passages(b'["a", "b", "c"]', 2)) == 2, "no more than were asked for"
    assert read_passages(b'{"results": []}', 2) == (), "nothing found is an answer"


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[1]", b'{"data": 1}', b'[{"text": 1}]', b"[[[[]]]]"]))
def test_anything_else_is_refused_with_a_reason(body: bytes) -> None:
    try:
        read_passages(body, 4)
    except ValueError as error:
        assert str(error) in ("it is not JSON", "it holds no list of passages", "nothing in its list has a text")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"<html>", "The answer of the retriever `handbook` cannot be used: it is not JSON."),
        ({"answer": 42}, "The answer of the retriever `handbook` cannot be used: it holds no list of passages."),
        ([{"score": 1}], "The answer of the retriever `handbook` cannot be used: nothing in its list has a text."),
        (b'["' + b"x" * MOST_ANSWER_BYTES + b'"]', "The answer of the retriever `handbook` is larger than 2 MB."),
    ],
)
async def test_an_answer_that_is_none_brings_nothing_and_says_why(
    retrievers: Retrievers, answer: Any, why: str
) -> None:
    async with LittleRetriever(answer).serve() as url:
        found = await ask(retrievers, url)
    assert found.passages == ()
    assert found.error is not None and found.error.message == why
    assert found.status == 200, "what it answered with 200 is paid for"


@pytest.mark.parametrize(
    ("status", "code"), [(500, "upstream_broken"), (401, "upstream_auth"), (302, "upstream_broken")]
)
async def test_a_refusal_brings_nothing(retrievers: Retrievers, status: int, code: str) -> None:
    async with LittleRetriever(status=status).serve() as url:
        found = await ask(retrievers, url, api_key="wrong")
    assert (found.passages, found.status) == ((), status)
    assert found.error is not None and found.error.code == code


async def test_a_slow_one_is_left_behind_after_its_timeout(retrievers: Retrievers) -> None:
    little = LittleRetriever(delay_seconds=30)
    async with little.serve() as url:
        found = await ask(retrievers, url, timeout=0.1)
        for _ in range(200):
            if little.left:
                break
            await asyncio.sleep(0.01)
        assert little.left == 1, "its connection is closed"
    assert found.error is not None and found.error.code == "upstream_timeout"
    assert 0.1 <= found.seconds < 2


async def test_one_that_is_not_there_or_breaks_off_brings_nothing(retrievers: Retrievers) -> None:
    async with LittleRetriever().serve() as url:
        pass
    found = await ask(retrievers, url)
    assert found.error is not None and found.error.code == "upstream_unreachable" and found.status == 502
    async with serving(saying(OK + b'content-length: 50\r\n\r\n["a', then_close=True)) as server:
        found = await ask(retrievers, f"http://127.0.0.1:{server.origin.port}/")
    assert found.error is not None and found.error.message == "The retriever `handbook` broke its answer off."
    async with serving(saying(b"220 smtp ready\r\n", then_close=True)) as server:
        found = await ask(retrievers, f"http://127.0.0.1:{server.origin.port}/")
    assert found.error is not None and found.error.code == "upstream_broken"


@pytest.mark.parametrize("url", ["ftp://x/", "http:///x", "http://ex ample/", "http://[::1"])
async def test_an_address_that_is_none_is_told_not_tried(retrievers: Retrievers, url: str) -> None:
    found = await ask(retrievers, url)
    assert found.error is not None and found.error.message == "The url of the retriever `handbook` cannot be used."


async def test_a_key_that_no_header_may_hold_is_not_sent(retrievers: Retrievers) -> None:
    little = LittleRetriever()
    async with little.serve() as url:
        found = await ask(retrievers, url, api_key="a\r\nx-evil: 1")
    assert not little.asked
    assert found.error is not None and found.error.code == "upstream_auth"
    assert "evil" not in found.error.message


async def test_a_long_query_is_cut_and_half_a_character_does_no_harm(retrievers: Retrievers) -> None:
    little = LittleRetriever()
    async with little.serve() as url:
        await ask(retrievers, url, "x" * 100_000)
        await ask(retrievers, url, "half \ud800 of one")
    assert little.queries == ["x" * MOST_QUERY_CHARACTERS, "half ? of one"]


async def test_whoever_is_cancelled_closes_the_connection(retrievers: Retrievers) -> None:
    little = LittleRetriever(delay_seconds=30)
    async with little.serve() as url:
        asking = asyncio.create_task(ask(retrievers, url, timeout=30.0))
        while not little.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        for _ in range(200):
            if little.left:
                break
            await asyncio.sleep(0.01)
        assert little.left == 1
