"""The exact cache on Redis, shared by gateways. Redis may be slow, full, read-only, gone or lying: that is a miss.

A request waits for Redis only in `get`, and only while patience lasts; then the breaker passes Redis by until a
background probe has seen it answer quickly again. Writes go out in the background, from a bounded queue.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import NamedTuple

from router.cache.contract import CachedAnswer
from router.cache.patience import QUICK_SECONDS
from router.cache.redis_client import open_client, where
from router.cache.redis_gets import Gets, idle_seconds
from router.cache.values import NewerFormat, Unreadable, pack, unpack

log = logging.getLogger("signalbox.cache")

_START_SECONDS = 0.5
_PROBE_SECONDS = 1.0
_WRITE_SECONDS = 1.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
_RELAPSE_WITHIN_SECONDS, _LONGEST_REST_SECONDS = 10.0, 30.0
_CLOSE_SECONDS = 0.5
_AGREE_EVERY_SECONDS = 30.0
_MOST_WAITING = 512
_MOST_WAITING_BYTES = 16 * 1024 * 1024
_LARGEST_BODY_BYTES = 1024 * 1024
_BATCH = 32


class _Write(NamedTuple):
    answer: CachedAnswer
    ttl_ms: int


class RedisCache:
    """Entries under `PREFIX:exact:KEY`. Call `start` once inside the event loop; without it the first use starts it.

    secret: configured by the operator; else the one that lies in Redis under `PREFIX:cache_secret`, made there by
    whichever gateway comes first. Until it has been read the cache is passed by, so a start never waits for Redis.

    dropped: puts that were never written. trips: how often the breaker opened.
    """

    def __init__(self, url: str, secret: bytes | None = None, prefix: str = "signalbox") -> None:
        self._client = open_client(url)
        self._where = where(url)
        self._prefix = prefix
        self._configured = secret is not None
        self._secret = secret or secrets.token_bytes(32)
        self._agreed_at = 0.0
        self._gets = Gets(self._client, self._trip)
        self._usable = False
        self._back_at = float("-inf")
        self._rest = _FIRST_PAUSE_SECONDS
        self._writes_refused = False
        self._closed = False
        self._waiting: dict[bytes, _Write] = {}
        self._waiting_bytes = 0
        self._probe: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self.dropped = 0
        self.trips = 0

    async def start(self) -> None:
        """Tries Redis for half a second at most; goes on trying in the background. Never raises."""
        try:
            await self._try_out(_START_SECONDS)
        except Exception as error:
            self._trip(error)

    @property
    def secret(self) -> bytes:
        """The configured secret, else the one agreed on in Redis, else (and then unused) a random one."""
        return self._secret

    @property
    def shared(self) -> bool:
        """True: other gateways, and whoever may read that Redis, see the entries."""
        return True

    @property
    def state(self) -> str:
        """`ok`, or `degraded` while Redis is passed by. One that is full or read-only is `ok`: it can still be read."""
        return "ok" if self._usable else "degraded"

    @property
    def waiting(self) -> int:
        """How many puts are not written yet."""
        return len(self._waiting)

    async def get(self, key: bytes) -> CachedAnswer | None:
        """The entry, within what is left of the patience; one still on its way to Redis is found too."""
        if (waiting := self._waiting.get(key)) is not None:
            return waiting.answer
        if not self._usable:
            self._look_after()
            return None
        secret = self._secret
        value = await self._gets.get(self._name(key))
        if value is None:
            return None
        try:
            return unpack(secret, key, value)
        except NewerFormat:
            return None
        except Unreadable:
            self._remove(self._name(key))
            return None

    async def put(self, key: bytes, answer: CachedAnswer, ttl_seconds: float) -> None:
        """Leaves the answer to the background writer; this process sees it at once. Drops are counted."""
        size = len(answer.body)
        full = len(self._waiting) >= _MOST_WAITING or self._waiting_bytes + size > _MOST_WAITING_BYTES
        if ttl_seconds < 0.001:
            return
        if not self._usable or self._closed or full or size > _LARGEST_BODY_BYTES:
            self.dropped += 1
            return
        self._forget(key)
        self._waiting[key] = _Write(answer, int(ttl_seconds * 1000))
        self._waiting_bytes += size
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_out())

    async def aclose(self) -> None:
        """Writes what waits, within half a second, and lets go of Redis."""
        self._closed = True
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=_CLOSE_SECONDS)
        tasks = [task for task in (self._writer, self._probe, *self._chores) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._gets.aclose()
        self._usable = False
        await self._let_go()

    # The breaker: `_usable` is its state, `_trip` opens it, `_mend` closes it.

    def _trip(self, error: BaseException | None) -> None:
        if self._usable or self._probe is None:
            self.trips += 1
            log.warning("cache: Redis at %s is passed by: %s", self._where, _reason(error))
            # A Redis that fails soon after its probe went well (one node of a cluster, say) is left alone ever longer.
            relapsed = time.monotonic() - self._back_at < _RELAPSE_WITHIN_SECONDS
            self._rest = min(2 * self._rest, _LONGEST_REST_SECONDS) if relapsed else _FIRST_PAUSE_SECONDS
        self._usable = False
        self.dropped += len(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._gets.give_up()
        self._look_after()

    def _look_after(self) -> None:
        if not self._closed and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(self._mend())

    async def _mend(self) -> None:
        pause = self._rest
        while True:
            await self._let_go()
            await asyncio.sleep(pause)
            pause = max(self._rest, min(2 * pause, _LONGEST_PAUSE_SECONDS))
            try:
                await self._try_out(_PROBE_SECONDS)
            except Exception as error:
                log.debug("cache: Redis at %s is still passed by: %s", self._where, _reason(error))
                continue
            log.info("cache: Redis at %s is back", self._where)
            return

    async def _try_out(self, seconds: float) -> None:
        """Connects, agrees on the secret, and sees a GET answered quickly; raises where it is not so."""
        async with asyncio.timeout(seconds):
            await self._agree()
            began, began_cpu = time.perf_counter(), time.process_time()
            await self._client.get(f"{self._prefix}:probe")
        if idle_seconds(began, began_cpu) > QUICK_SECONDS:
            raise TimeoutError("it answers too slowly")
        self._gets.patience.restore()
        self._usable, self._back_at = True, time.monotonic()

    async def _agree(self) -> None:
        """Takes the secret that lies in Redis, or lays ours there; so gateways agree, after a FLUSHALL too."""
        if self._configured:
            return
        name = f"{self._prefix}:cache_secret"
        found = await self._client.get(name)
        if found is None:
            await self._client.set(name, self._secret.hex(), nx=True)
            found = await self._client.get(name)
        agreed = bytes.fromhex(found.decode()) if isinstance(found, bytes) else b""
        if len(agreed) < 16:
            raise ValueError(f"{name} holds no secret")
        self._secret, self._agreed_at = agreed, time.monotonic()

    async def _let_go(self) -> None:
        """Closes every connection: after a failure none can be trusted. The client opens new ones when asked."""
        try:
            await self._client.aclose()
        except Exception:
            log.debug("cache: closing connections to Redis at %s failed", self._where)

    # Background writes.

    async def _write_out(self) -> None:
        try:
            while self._waiting and self._usable:
                async with asyncio.timeout(_WRITE_SECONDS):
                    if time.monotonic() - self._agreed_at > _AGREE_EVERY_SECONDS:
                        await self._agree()
                    await self._write(list(self._waiting.items())[:_BATCH])
        except Exception as error:
            self._trip(error)

    async def _write(self, batch: list[tuple[bytes, _Write]]) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for key, write in batch:
                pipe.set(self._name(key), pack(self._secret, key, write.answer), px=write.ttl_ms)
            results = await pipe.execute(raise_on_error=False)
        for (key, write), result in zip(batch, results, strict=True):
            if self._waiting.get(key) is write:
                self._forget(key)
            self._note(result)

    def _note(self, result: object) -> None:
        refused = isinstance(result, Exception)
        if refused:
            self.dropped += 1
        if refused and not self._writes_refused:
            log.warning("cache: Redis at %s refuses to store: %s", self._where, result)
        self._writes_refused = refused

    def _forget(self, key: bytes) -> None:
        if (write := self._waiting.pop(key, None)) is not None:
            self._waiting_bytes -= len(write.answer.body)

    def _remove(self, name: str) -> None:
        task = asyncio.create_task(self._delete(name))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _delete(self, name: str) -> None:
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._client.delete(name)
        except Exception as error:
            log.debug("cache: an unreadable entry stays in Redis: %s", _reason(error))

    def _name(self, key: bytes) -> str:
        return f"{self._prefix}:exact:{key.hex()}"


def _reason(error: BaseException | None) -> str:
    return (str(error) or "no answer in time") if error is not None else "it answers too slowly"
