"""The settings choose the cache; Redis being away chooses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from router.cache.connect import connect_cache
from router.cache.memory import MemoryCache
from router.cache.off import NoCache
from router.cache.redis_cache import RedisCache
from router.errors import SettingsError
from router.settings import Settings
from tests.servers import free_port


def asked(**changes: Any) -> Settings:
    return Settings(**({"redis_url": None, "cache_secret": None, "cache_bytes": 1 << 20} | changes))


async def test_without_redis_it_is_kept_in_the_process_under_a_secret_of_its_own() -> None:
    one, other = await connect_cache(asked()), await connect_cache(asked())
    assert isinstance(one, MemoryCache)
    assert (one.state, one.shared) == ("ok", False)
    assert len(one.secret) == 32 and one.secret != other.secret


async def test_no_bytes_are_no_cache() -> None:
    cache = await connect_cache(asked(cache_bytes=0))
    assert isinstance(cache, NoCache)
    assert (cache.state, cache.shared) == ("off", False)


async def test_a_url_chooses_redis(redis_url: str) -> None:
    cache = await connect_cache(asked(redis_url=redis_url, cache_bytes=0))
    assert isinstance(cache, RedisCache)
    assert (cache.state, cache.shared) == ("ok", True)
    await cache.aclose()


async def test_a_redis_that_is_away_does_not_fail_the_start() -> None:
    cache = await connect_cache(asked(redis_url=f"redis://127.0.0.1:{free_port()}"))
    assert cache.state == "degraded"
    await cache.aclose()


async def test_a_configured_secret_is_used_everywhere_and_an_empty_one_is_none() -> None:
    assert (await connect_cache(asked(cache_secret=SecretStr("chosen")))).secret == b"chosen"
    assert len((await connect_cache(asked(cache_secret=SecretStr("")))).secret) == 32


async def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="SIGNALBOX_REDIS_URL"):
        await connect_cache(asked(redis_url="http://example.test"))
