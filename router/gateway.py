"""The running gateway: its parts, how they start, how they stop, and what they say of their own health.

`router.app` puts the parts together; this file keeps them alive. Nothing of a request is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from router.access.admin import AdminDoor
from router.access.keys import KeyRing
from router.cache.contract import Cache
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
    """Everything that lives as long as the process. `watch` are coroutines that run beside the requests."""

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
    watch: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    phase: Phase = "starting"
    started_unix: float = field(default_factory=time.time)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
