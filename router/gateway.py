"""The running gateway: its parts, how they start, how they stop, and what they say of their own health.

`router.app` puts the parts together; this file keeps them alive. Nothing of a request is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from router.access.admin import AdminDoor
from router.access.keys import KeyRing
from router.audits.auditor import Auditor
from router.audits.verifying import Verifier
from router.cache.contract import Cache
from router.conversations.conversations import Conversations
from router.domain import Caller
from router.entry import is_recent, is_request_id
from router.errors import LedgerAway, StoreAway, StoreError
from router.judge import Judge
from router.learning.feedback import ROW_PAUSE_SECONDS, ROW_TRIES, Inbox, Opinion
from router.learning.news import DriftNews
from router.learning.proving import Proving
from router.ledger import reports
from router.ledger.contract import Store
from router.ledger.recorder import Recorder
from router.ledger.reports import RequestStory
from router.ledger.story import told
from router.limits.limits import Limits
from router.pipeline import Pipeline
from router.policy.compiled import Policy, Proof
from router.policy.proofs import to_prove
from router.policy.reload import PolicyWatcher
from router.settings import Settings
from router.telemetry import Telemetry
from router.telemetry.vitals import Vitals
from router.upstream.contract import Upstream
from router.upstream.health import Health
from router.upstream.retriever import Retrievers

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
LEAVE_SECONDS = 2.0
"""How long labels may take that are written at the end; without them learning has a few less."""

T = TypeVar("T")

Phase = Literal["starting", "serving", "draining"]


@dataclass(slots=True)
class Gateway:
    """Everything that lives as long as the process.

    prepare: made ready before the first request (litellm, where the policy names it). watch: run beside the
    requests until the end. leave: called once at the end, to write the labels that still wait.
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
    health: Health
    conversations: Conversations
    auditor: Auditor
    verifier: Verifier
    limits: Limits
    proving: Proving
    inbox: Inbox
    drift: DriftNews
    pipeline: Pipeline
    upstreams: dict[str, Upstream]
    retrievers: Retrievers
    prepare: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    watch: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    leave: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    phase: Phase = "starting"
    started_unix: float = field(default_factory=time.time)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Brings every part up. A database or Redis that is away is not waited for; a foreign one stops the start."""
        self.telemetry.vitals = self.vitals
        self.telemetry.export.start()
        for prepare in self.prepare:
            await prepare()
        await self.cache.start()
        if any(policy.limits for policy in self.policy.called):
            await self.limits.store.start()
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
        await self.retrievers.aclose()
        if self.judge.aside is not None:
            await self.judge.aside.aclose()
        await self.recorder.drain(self.settings.grace_seconds)
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                for leave in self.leave:
                    await leave()
        await self.telemetry.export.stop()
        await self.telemetry.share()
        await self.conversations.memory.aclose()
        await self.limits.store.aclose()
        await self.cache.aclose()
        await self.store.aclose()

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` answers."""
        redis, database = self.cache.state if self.cache.shared else "off", self.recorder.state
        limits = self.limits.store.state if self.policy.current.limits else "off"
        well = "degraded" not in (redis, limits) and database == "ok" and self.policy.error is None and self.judge.well
        status = self.phase if self.phase != "serving" else "ok" if well else "degraded"
        return {
            "status": status,
            "policy": self.policy.current.label,
            "classifier": self.judge.state,
            "redis": redis,
            "limits": limits,
            "database": database,
            **({"notes": notes} if (notes := self.policy.notes) else {}),
        }

    def vitals(self) -> Vitals:
        """What `/metrics` says of the parts."""
        policy, breakers = self.policy.current, self.health.states()
        parts = {
            "classifier": self.judge.well,
            "database": self.recorder.state == "ok",
            "policy": self.policy.error is None,
        }
        if self.cache.shared:
            parts["redis"] = self.cache.state != "degraded"
        if policy.limits:
            parts["limits"] = self.limits.store.state != "degraded"
        return Vitals(
            policy.name,
            policy.digest,
            self.judge.name,
            parts,
            {name: breakers.get(name, "closed") for one in self.policy.called for name in one.models},
            {
                (route.name, rule.name): rule.condition.errors
                for route in policy.routes.values()
                for rule in route.rules
                if rule.condition is not None
            },
            self.policy.reloads,
            self.policy.refusals,
            self.judge.failures + (self.judge.canary.judge.failures if self.judge.canary is not None else 0),
            self.recorder.written,
            self.recorder.dropped,
            self.recorder.waiting,
            self.judge.aside.counts if self.judge.aside is not None else {},
            self.limits.refusals(policy),
            self.limits.store.alone,
            self.limits.store.waiting,
            self.limits.store.dropped,
            self.auditor.counts,
            self._risks(policy),
            self.drift.parts,
            self.drift.looked_unix,
            None if (canary := self.judge.canary) is None else (canary.judge.name, canary.share),
            self.store.labelled,
            self.verifier.counts,
        )

    def _risks(self, policy: Policy) -> dict[tuple[str, str], tuple[float, int, bool]]:
        """By route and rule with a `max_risk`: the bound, the pairs that it is of, and whether it is proven."""
        proofs = self.proving.proofs.of(policy, self.judge.name)
        found = {}
        for route, rule, max_risk in to_prove(policy):
            proof = proofs.get((route.name, rule.name), Proof(1.0))
            found[route.name, rule.name] = (proof.bound, proof.pairs, proof.proves(max_risk))
        return found

    async def take_feedback(self, caller: Caller, opinions: Sequence[Opinion]) -> frozenset[str]:
        """Keeps a caller's opinions, and returns the ids of those requests that are theirs."""
        with _database_needed():
            return await self.inbox.take(caller, opinions)

    async def story(self, request_id: str, tenant: str) -> dict[str, Any] | None:
        """One request as `/v1/route` would have explained it, with its outcome; None where it is not the tenant's."""

        async def read() -> RequestStory | None:
            if self.recorder.knows(request_id, tenant):
                await self.recorder.flush()
            story = await reports.request(self.store, request_id)
            return story if story is not None and story.outcome.tenant == tenant else None

        if not is_request_id(request_id):
            return None
        with _database_needed():
            story = await _sought(read, request_id)
        return None if story is None else told(story)

    async def _for_ever(self, watch: Callable[[], Awaitable[None]]) -> None:
        told = ""
        while True:
            try:
                await watch()
                told = ""
            except (StoreError, OSError) as error:  # told once, until it is another or was over in between
                if str(error) != told:
                    told = str(error)
                    log.warning("%s: %s", getattr(watch, "__qualname__", watch), error)
            except Exception:
                log.exception("a background task failed; it goes on")
            await asyncio.sleep(POLL_SECONDS)


async def _sought(look: Callable[[], Awaitable[T]], request_id: str) -> T:
    """What `look` finds; looks again for a moment where the row may be on its way from another worker."""
    found = await look()
    tries = ROW_TRIES if not found and is_recent(request_id) else 0
    while tries and not found:
        await asyncio.sleep(ROW_PAUSE_SECONDS)
        found, tries = await look(), tries - 1
    return found


@contextmanager
def _database_needed() -> Iterator[None]:
    """What cannot be done without the database says so, and when to come back."""
    try:
        yield
    except StoreAway as error:
        log.warning("the database is away: %s", error)
        raise LedgerAway("The ledger's database is out of reach; try again soon.", retry_after=5) from None
