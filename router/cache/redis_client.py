"""Opens a Redis client that gives up at once. How its failures are borne is the business of the cache.

redis-py retries by itself (a refused port held a caller for 4.7 s): here it never does.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from router.errors import SettingsError

Client = Redis | RedisCluster

_MOST_CONNECTIONS = 8
_CONNECT_SECONDS = 1.0


def open_client(url: str) -> Client:
    """A client for `redis://`, `rediss://`, `unix://`, or a cluster's `redis+cluster://`, `rediss+cluster://`.

    Nothing is connected yet. Options of redis-py may stand in the URL's query. Raises `SettingsError`.
    """
    scheme, _, rest = url.partition("://")
    plain_scheme, _, kind = scheme.partition("+")
    if plain_scheme not in ("redis", "rediss", "unix") or kind not in ("", "cluster"):
        raise SettingsError(
            f"SIGNALBOX_REDIS_URL: {scheme!r} is no scheme of Redis; use redis://, rediss:// or redis+cluster://"
        )
    plain_url = f"{plain_scheme}://{rest}"
    try:
        if kind == "cluster":
            return RedisCluster.from_url(
                plain_url,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_CONNECT_SECONDS,
                max_connections=_MOST_CONNECTIONS,
                protocol=2,
            )
        return Redis.from_url(
            plain_url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_SECONDS,
            # The callers' own deadlines bound every wait; a second one for each read and write costs 30 us a call.
            socket_timeout=None,
            max_connections=_MOST_CONNECTIONS,
            protocol=2,
        )
    except (ValueError, TypeError) as error:
        raise SettingsError(f"SIGNALBOX_REDIS_URL: {error}") from None


def where(url: str) -> str:
    """Host and port for people to read; never the user or the password."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return f"{parts.hostname or parts.path}:{port or 6379}"
