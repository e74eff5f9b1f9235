"""Puts the gateway together: every part is made here and handed to those who use it; no part fetches another."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

from router import __version__
from router.access.admin import AdminDoor
from router.access.keys import KeyRing, keys_from_setting
from router.api import control, data_plane, feedback, operations
from router.api.chat import ChatEndpoint
from router.api.edge import Edge
from router.api.errors import answer_errors
from router.api.openapi import describe
from router.audits.auditor import Auditor
from router.audits.hints import Hints
from router.audits.verifying import Verifier
from router.cache.connect import make_cache
from router.conversations.connect import make_memory
from router.conversations.conversations import Conversations
from router.dashboard import pages
from router.deciding import Decider
from router.domain import Outcome
from router.errors import SettingsError
from router.gateway import Gateway
from router.learning.feedback import Inbox
from router.learning.news import DriftNews
from router.learning.proving import Proving
from router.learning.uptake import Uptake, first_judge
from router.ledger.findings import Findings
from router.ledger.recorder import Recorder
from router.ledger.registry import Registry
from router.ledger.retention import Retention
from router.ledger.runs import RunNote
from router.ledger.store import SqlStore
from router.limits.connect import make_store
from router.limits.limits import Limits
from router.limits.recall import Recall
from router.pipeline import Pipeline
from router.plans.every_plan import every_plan
from router.plans.reach import Reach
from router.policy.proofs import Proofs
from router.policy.reload import PolicyWatcher
from router.selection.by_embedding import ByEmbedding, vectors_of
from router.selection.by_model import ByModel
from router.selection.embedded_aside import EmbeddedAside
from router.selection.selectors import Selectors
from router.settings import Settings, read_settings
from router.telemetry import Telemetry, set_up_logging
from router.telemetry.export import make_export
from router.upstream.contract import Upstream
from router.upstream.health import Health
from router.upstream.litellm_provider import LitellmProvider
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.retriever import Retrievers

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The application. Raises ConfigError at once for keys, a policy or an artefact that cannot be used."""
    gateway = assemble(settings)
    chat = ChatEndpoint(gateway.pipeline, gateway.keys, gateway.telemetry)

    note = RunNote(settings.data_dir, lambda: (gateway.telemetry.in_flight.value, gateway.recorder.waiting))
    gateway.watch.append(note.poll)

    def drain() -> None:
        gateway.phase = "draining"
        chat.draining = True

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        await gateway.start()
        await note.begin()
        with calls_on_terminate(drain):
            try:
                yield {"chat": chat}  # for `router.api.connection`
            finally:
                await gateway.stop()
                await note.end()

    app = FastAPI(
        title="Signalbox",
        version=__version__,
        description="A gateway that judges each query and lets a policy decide which model answers.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a POST that is sent elsewhere loses its body, or its key, with some clients
    )
    app.state.gateway = gateway
    app.router.routes.insert(0, Route("/v1/chat/completions", chat, methods=["POST"]))
    app.include_router(data_plane.routes)
    app.include_router(feedback.routes)
    app.include_router(operations.routes)
    app.include_router(control.routes)
    app.include_router(pages.routes)
    app.add_middleware(Edge, door=gateway.door)
    answer_errors(app)
    describe(app)
    return app


def assemble(settings: Settings) -> Gateway:
    """Makes every part and joins them; nothing is started and nothing is connected yet. Raises ConfigError."""
    telemetry, health, keys = Telemetry(make_export(os.environ), settings.metrics_dir), Health(), _keys(settings)
    policy = PolicyWatcher(_policy_file(settings), os.environ)
    judge = first_judge(settings)
    cache = make_cache(settings)
    store = SqlStore(settings.store_url)
    recorder = Recorder(store)
    litellm = LitellmProvider()
    upstreams: dict[str, Upstream] = {"openai": OpenAIRelay(), "litellm": litellm}
    conversations = Conversations(make_memory(settings))
    limits = Limits(make_store(settings))
    reach, retrievers = Reach(upstreams, health), Retrievers()
    by_embedding = ByEmbedding(vectors_of(judge.classifier))
    likening = by_embedding if judge.aside is None else EmbeddedAside(by_embedding, judge.aside)
    selectors = Selectors(likening, ByModel(reach))
    uptake = Uptake(Registry(store), judge)

    retention = Retention(store, settings.retention_days, settings.features_days)

    def record(outcome: Outcome) -> None:
        telemetry.count(outcome)
        recorder.record(outcome)

    async def load_litellm() -> None:
        if any(model.provider == "litellm" for one in policy.called for model in one.models.values()):
            await litellm.load()

    async def prepare_selectors() -> None:
        for one in policy.in_use:
            await selectors.prepare(one)

    async def poll_files() -> None:
        await asyncio.to_thread(keys.poll)
        if await asyncio.to_thread(policy.poll):
            await load_litellm()
            await prepare_selectors()

    under_way: dict[str, str] = {}
    auditor, hints, verifier = Auditor(reach, record, store), Hints(store), Verifier(store)
    proofs, drift = Proofs(), DriftNews(Findings(store))
    proving = Proving(proofs, judge, lambda: policy.in_use, lambda: SqlStore(settings.store_url))

    return Gateway(
        settings=settings,
        policy=policy,
        judge=judge,
        cache=cache,
        store=store,
        recorder=recorder,
        keys=keys,
        door=AdminDoor(settings.admin_key.get_secret_value() if settings.admin_key else None),
        telemetry=telemetry,
        health=health,
        conversations=conversations,
        auditor=auditor,
        verifier=verifier,
        limits=limits,
        proving=proving,
        inbox=Inbox(store, recorder, under_way),
        drift=drift,
        pipeline=Pipeline(
            policies=policy,
            cache=cache,
            decider=Decider(
                judge=judge, health=health, selectors=selectors, conversations=conversations, proofs=proofs
            ),
            plans=every_plan(reach, retrievers),
            auditor=auditor,
            hints=hints,
            verifier=verifier,
            limits=limits,
            record=record,
            under_way=under_way,
        ),
        upstreams=upstreams,
        retrievers=retrievers,
        prepare=[
            load_litellm,
            *([judge.aside.start] if judge.aside is not None else []),
            prepare_selectors,
        ],
        leave=[hints.poll, verifier.finish, auditor.write],
        watch=[
            poll_files,
            retention.poll,
            auditor.poll,
            hints.poll,
            verifier.poll,
            proving.poll,
            drift.poll,
            Recall(limits.store, store, lambda: policy.current).poll,
            *([telemetry.share] if settings.metrics_dir else []),
            *([] if settings.artefact or settings.classifier == "heuristic" else [uptake.poll]),
        ],
    )


@contextmanager
def calls_on_terminate(drain: Callable[[], None]) -> Iterator[None]:
    """Calls `drain` when the process is told to stop, before the server's own handler begins to close connections."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    servers_own = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        drain()
        own = servers_own[signal.Signals(number)]
        if callable(own):
            own(number, frame)

    for number in servers_own:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, own in servers_own.items():
            signal.signal(number, own)


def calm_collector() -> None:
    """Tells the garbage collector that what is here now stays, and to look less often; for processes that only serve.

    Requests leave hardly any cycles behind, so looking for them after every 700 new objects finds nothing: measured, it
    took a tenth of the CPU, and now and then a pause of a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def from_environment() -> FastAPI:
    """The application with all settings from the environment, as worker processes make it."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    app.state.gateway.watch.append(ends_with(os.getppid()))
    calm_collector()
    return app


def ends_with(parent: int) -> Callable[[], Awaitable[None]]:
    """Ends this worker once the process that started it is gone; else it holds the port, with nobody to stop it."""

    async def look() -> None:
        if os.getppid() != parent:
            log.error("the process that started this worker is gone; the worker ends too")
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    return look


def _policy_file(settings: Settings) -> Path:
    if settings.policy is None:
        raise SettingsError("SIGNALBOX_POLICY must name a policy file.")
    return settings.policy


def _keys(settings: Settings) -> KeyRing:
    fixed = keys_from_setting(settings.api_keys.get_secret_value()) if settings.api_keys else ()
    return KeyRing(fixed, file=settings.keys_file)
