"""Where an answer stands depends on who asks what of which route; private and unwanted ones stand nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from classifiers.contract import AskText
from router.cache.contract import Cache
from router.cache.memory import MemoryCache
from router.cache.off import NoCache
from router.cache.shelf import Shelf, shelf_for
from router.domain import Ask, ModelSpec
from router.policy.compiled import CacheSettings, Policy, Route

from .answers import stored

MODEL = ModelSpec("small", "small", "m")
ROUTE = Route("auto", "small", cache=CacheSettings(60))


def shelf(cache: Cache, **changes: Any) -> Shelf:
    private = changes.pop("private", ())
    ask = Ask(AskText("hi"), input_tokens=1, output_tokens=1, chars=2, turns=1, private=private)
    policy = Policy("p", changes.pop("digest", "d1"), {"small": MODEL}, "small", {})
    asked = {"tenant": "acme", "target": ROUTE, "values": {"messages": []}, "cache_control": None} | changes
    return shelf_for(cache, policy=policy, ask=ask, **asked)


async def kept_then_found(cache: Cache, keeper: dict[str, Any], finder: dict[str, Any]) -> bool:
    await shelf(cache, **keeper).keep(stored())
    return await shelf(cache, **finder).find() is not None


async def test_the_same_request_finds_what_was_kept_for_it() -> None:
    cache = MemoryCache(1 << 20)
    first = shelf(cache)
    assert await first.find() is None
    assert first.verdict == "miss"
    await first.keep(stored())
    again = shelf(cache)
    assert await again.find() == stored()
    assert again.verdict == "hit"


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "other"},
        {"digest": "d2"},
        {"values": {"messages": [1]}},
        {"target": Route("fast", "small", cache=CacheSettings(60))},
    ],
    ids=["tenant", "policy", "body", "route"],
)
async def test_another_tenant_policy_body_or_route_finds_nothing(change: dict[str, Any]) -> None:
    assert not await kept_then_found(MemoryCache(1 << 20), {}, change)


@pytest.mark.parametrize(
    "change",
    [
        {"target": MODEL},
        {"target": Route("auto", "small")},
        {"private": ("email",)},
        {"cache_control": "no-store"},
        {"cache_control": "private, No-Store"},
    ],
    ids=["a model named outright", "a route without cache", "a private ask", "no-store", "no-store among others"],
)
async def test_some_requests_pass_the_cache_by_both_ways(change: dict[str, Any]) -> None:
    cache = MemoryCache(1 << 20)
    assert not await kept_then_found(cache, change, change)
    assert not await kept_then_found(cache, {}, change)
    assert shelf(cache, **change).verdict == "bypass"


async def test_a_route_may_keep_private_asks_too() -> None:
    route = Route("auto", "small", cache=CacheSettings(60, private=True))
    asked = {"target": route, "private": ("email",)}
    assert await kept_then_found(MemoryCache(1 << 20), asked, asked)


async def test_no_cache_asks_for_a_fresh_answer_which_is_then_kept() -> None:
    cache = MemoryCache(1 << 20)
    await shelf(cache).keep(stored(b"old"))
    fresh = shelf(cache, cache_control="no-cache")
    assert await fresh.find() is None
    assert fresh.verdict == "bypass"
    await fresh.keep(stored(b"new"))
    assert await shelf(cache).find() == stored(b"new")


async def test_a_cache_that_is_off_is_passed_by() -> None:
    cache = NoCache()
    assert not await kept_then_found(cache, {}, {})
    assert shelf(cache).verdict == "bypass"
