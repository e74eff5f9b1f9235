"""The running gateway: its parts, how they start, how they stop, and what they say of their own health.

`router.app` puts the parts together; this file keeps them alive. Nothing of a request is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from router.access.admin import AdminDoor
from router.access.keys import KeyRing
from router.cache.contract import Cache
from router.domain import Caller
from router.errors import StoreError
from router.judge import Judge
from router.ledger.contract import Store
from router.ledger.recorder import Recorder
from router.pipeline import Pipeline
from router.policy.reload import PolicyWatcher
from router.settings import Settings
from router.telemetry import Telemetry
from router.upstream.contract import Upstream

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0

Phase = Literal["starting", "serving", "draining"]


@dataclass(slots=True)
class Gateway:
    """Everything that lives as long as the process.

    prepare: made ready before the first request (litellm, where the policy names it). watch: run beside the
    requests until the end.
    """

    settings: Settings
    policy: PolicyWatcher
    judge: Judge
    cache: Cache
    store: Store
    recorder: Recorder
    keys: KeyRing
    door: AdminDoor
    telemetry: Telemetry
    pipeline: Pipeline
    upstreams: dict[str, Upstream]
    prepare: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    watch: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    phase: Phase = "starting"
    started_unix: float = field(default_factory=time.time)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Brings every part up. A database or Redis that is away is not waited for; a foreign one stops the start."""
        for prepare in self.prepare:
            await prepare()
        await self.recorder.start()
        self._tasks = [asyncio.create_task(self._for_ever(watch)) for watch in self.watch]
        self.phase = "serving"

    async def stop(self) -> None:
        """Lets go of every part; the recorder writes what it still holds."""
        self.phase = "draining"
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for upstream in self.upstreams.values():
            await upstream.aclose()
        await self.recorder.drain(self.settings.grace_seconds)
        await self.cache.aclose()
        await self.store.aclose()

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` answers."""
        redis, database = self.cache.state if self.cache.shared else "off", self.recorder.state
        well = redis != "degraded" and database == "ok" and self.policy.error is None
        status = self.phase if self.phase != "serving" else "ok" if well else "degraded"
        return {
            "status": status,
            "policy": self.policy.current.label,
            "classifier": self.judge.state,
            "redis": redis,
            "database": database,
        }

    async def label(self, caller: Caller, request_id: str, source: str, score: float, comment: str | None) -> bool:
        """Keeps a caller's label for one of their own requests; False where it is not theirs or not known."""

    async def story(self, request_id: str, tenant: str) -> dict[str, Any] | None:
        """One request as `/v1/route` would have explained it, with its outcome; None where it is not the tenant's."""

    async def _for_ever(self, watch: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await watch()
            except (StoreError, OSError) as error:
                log.warning("%s: %s", getattr(watch, "__qualname__", watch), error)
            except Exception:
                log.exception("a background task failed; it goes on")
            await asyncio.sleep(POLL_SECONDS)
