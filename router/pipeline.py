"""The journey of one request, top to bottom: ask, cache, judge, policy, plan, relay, ledger.

Each step is a call into the room that owns it. Whatever way the journey ends (answered, refused, broken off, caller
gone), the recorder hears of it exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import orjson

from router.answer_headers import Headers, dollars, passed_on, told
from router.ask import read_ask
from router.asked import Asked, ChatRequest
from router.audits.auditor import Auditor
from router.audits.hints import Hints
from router.audits.verifying import Verifier, wants_answer
from router.cache.contract import Cache, CachedAnswer
from router.cache.forms import assemble, replay, storable
from router.cache.shelf import Shelf, shelf_for, stored
from router.deciding import Decider
from router.domain import Caller, ModelSpec, Outcome
from router.entry import Entry, conversation_of
from router.errors import InternalError, RequestError, UpstreamBroken, UpstreamError
from router.limits.account import account_of
from router.limits.limits import Limits
from router.plans.contract import Plan, Served, Work
from router.policy.decide import resolve
from router.policy.reload import PolicyWatcher
from router.telemetry.logs import current_request
from router.upstream.answers import read_whole
from router.upstream.sse import StreamTap, error_event

log = logging.getLogger(__name__)

COLLECT_BYTES = 4 * 1024 * 1024
"""Streams longer than this are relayed but neither cached nor kept as text."""

ASSEMBLED_ASIDE_BYTES = 128 * 1024

_HEADERS_UPSTREAM = ("openai-beta", "anthropic-beta")
"""The only headers of the caller that go on to an upstream."""


class Wire(Protocol):
    """The way back to the caller. Nothing may be written after `end`. gone: whether it was the caller who left."""

    gone: bool

    async def start(self, status: int, headers: Headers) -> None: ...

    async def write(self, chunk: bytes) -> None: ...

    async def end(self, chunk: bytes = b"") -> None: ...

    async def fail(self, error: RequestError, headers: Headers) -> None:
        """Answers with the error where nothing was sent yet."""
        ...

    def watch(self) -> None:
        """From now on the journey is cancelled when the caller leaves."""
        ...


class Pipeline:
    """The way every chat request goes. All parts are passed in; which policy rules is read once a request."""

    def __init__(
        self,
        *,
        policies: PolicyWatcher,
        cache: Cache,
        plans: Mapping[str, Plan],
        decider: Decider,
        auditor: Auditor,
        hints: Hints,
        verifier: Verifier,
        limits: Limits,
        record: Callable[[Outcome], None],
        under_way: dict[str, str],
    ):
        """under_way: where the tenant of each request is kept while it is answered."""
        self._policies = policies
        self._cache = cache
        self._decider = decider
        self._plans = plans
        self._auditor = auditor
        self._hints = hints
        self._verifier = verifier
        self._limits = limits
        self._record = record
        self._under_way = under_way

    async def chat(self, request: ChatRequest, caller: Caller, wire: Wire) -> None:
        """Answers one chat request over `wire`. Only a cancellation comes out as an exception."""
        entry = Entry(request.request_id, caller, request.received, stream=request.stream)
        current_request.set(request.request_id)
        self._under_way[request.request_id] = caller.tenant
        entry.row.caller_request_id = request.headers.get("x-request-id", "")[:128] or None
        entry.row.traceparent = request.headers.get("traceparent", "")[:64] or None
        entry.row.conversation = conversation = conversation_of(request.body, request.headers, caller.tenant)
        try:
            asked = self._asked(request, caller, conversation)
            policy, ask, account = asked.policy, asked.ask, asked.account
            entry.asked(asked)
            entry.checked = wants_answer(request, ask)

            shelf = shelf_for(
                self._cache,
                tenant=caller.tenant,
                policy=policy,
                target=asked.target,
                ask=ask,
                values=request.body.values,
                cache_control=request.headers.get("cache-control"),
            )
            if (found := await shelf.find()) is not None and found.model in policy.models:
                if account is not None:
                    await account.reserve_stored()
                return await self._serve_stored(found, policy.models[found.model], request, entry, wire)
            entry.cached(shelf.verdict)

            wire.watch()
            decided = await self._decider.decide(asked, entry.inner)
            verdict = decided.verdict
            entry.decided(ask, decided.assessment, verdict)
            entry.sample = self._auditor.sample(asked.target, policy, ask, verdict, request.body)
            if (shadow := self._policies.shadow_of(policy)) is not None:
                entry.shadow = self._decider.shadow(shadow, asked, decided)

            work = Work(
                request.request_id,
                request.body,
                request.stream,
                {name: request.headers[name] for name in _HEADERS_UPSTREAM if name in request.headers},
                verdict.decision,
                policy.models,
                policy.retrievers,
                entry.inner,
                input_tokens=ask.input_tokens,
            )
            try:
                served = await self._plans[verdict.decision.plan](work)
            finally:
                entry.called(work)
            entry.served_by(served.model)
            try:
                if served.answer.status != 200:
                    await self._pass_through(served, entry, wire)
                elif request.stream:
                    await self._relay_stream(served, request, shelf, entry, wire)
                else:
                    await self._relay_plain(served, request, shelf, entry, wire)
            finally:
                await served.aclose()
            if decided.turn is not None and entry.row.outcome == "ok" and entry.row.model is not None:
                await decided.turn.answered(entry.row.model)
        except RequestError as error:
            entry.failed(error)
            await wire.fail(error, told(entry))
        except asyncio.CancelledError:
            entry.broke_off(caller_left=wire.gone)
            raise
        except Exception:
            log.exception("request %s broke the gateway", request.request_id)
            failure = InternalError("The gateway failed; its log has the reason under this request's id.")
            entry.failed(failure)
            await wire.fail(failure, told(entry))
        finally:
            self._write_down(entry)
            self._under_way.pop(request.request_id, None)

    async def explain(self, request: ChatRequest, caller: Caller) -> dict[str, Any]:
        """What `chat` would decide, without calling, caching or recording anything (`POST /v1/route`)."""
        asked = self._asked(request, caller, conversation_of(request.body, request.headers, caller.tenant))
        return await self._decider.explain(asked) | self._policies.told_canary(asked.policy)

    def _asked(self, request: ChatRequest, caller: Caller, conversation: str) -> Asked:
        """What a request falls under, and what it asks. Raises ModelNotFound."""
        policy = self._policies.ruling(request.model, caller.tenant, conversation)
        target = resolve(policy, request.model)
        ask = read_ask(request.body.values, policy.scanner)
        account = account_of(self._limits, policy, caller, target, ask, request.body.values)
        return Asked(request, caller, policy, target, ask, conversation, account)

    async def _serve_stored(
        self, found: CachedAnswer, model: ModelSpec, request: ChatRequest, entry: Entry, wire: Wire
    ) -> None:
        """Answers out of the cache, in the form the caller asked for."""
        row = entry.row
        row.rule, row.probability, row.complexity = "cache", None, found.complexity
        entry.cached("hit")
        entry.served_by(model, from_cache=True)
        entry.billed(found.usage, 0)
        body = replay(found.body, include_usage=request.wants_usage) if request.stream else found.body
        entry.began(200)
        headers = told(entry)
        headers.append((b"content-type", b"text/event-stream" if request.stream else b"application/json"))
        if not request.stream:
            headers += [(b"content-length", b"%d" % len(body)), (b"x-signalbox-cost-usd", b"0")]
        await wire.start(200, headers)
        entry.first_byte()
        await wire.end(body)

    async def _pass_through(self, served: Served, entry: Entry, wire: Wire) -> None:
        """An upstream's 400, 404 or 422 is the caller's to read, unchanged."""
        body = b"".join([chunk async for chunk in served.answer.chunks()])
        entry.began(served.answer.status)
        entry.row.outcome, entry.row.fault = "caller_error", "caller"
        headers = [*told(entry), *passed_on(served), (b"x-signalbox-fault", b"caller")]
        await wire.start(served.answer.status, headers)
        await wire.end(body)

    async def _relay_plain(self, served: Served, request: ChatRequest, shelf: Shelf, entry: Entry, wire: Wire) -> None:
        """Relays a whole completion as it came, and says what it cost."""
        body, seen = await read_whole(served.answer)
        entry.billed(seen.usage, seen.output_tokens_estimate)
        entry.row.finish_reason, entry.completion = seen.finish_reason, seen.completion
        if entry.keeps_text:
            entry.keep_text(request.body.text, body.decode("utf-8", "replace"))
        entry.began(200)
        headers = [*told(entry), *passed_on(served), (b"content-length", b"%d" % len(body))]
        if entry.row.cost_nano is not None:
            headers.append((b"x-signalbox-cost-usd", dollars(entry.spent_nano())))
        await wire.start(200, headers)
        entry.first_byte()
        await wire.end(body)
        self._write_down(entry)
        if entry.checked:
            self._verifier.offer(request, entry.row, seen.completion, verifies=entry.verifies)
        if shelf.key is not None and seen.completion is not None and storable(seen.completion):
            await shelf.keep(stored(body, served.model.name, entry.row.complexity, entry.row.usage))
        if entry.sample is not None:
            self._auditor.offer(entry.sample, entry.row, seen.completion)

    async def _relay_stream(self, served: Served, request: ChatRequest, shelf: Shelf, entry: Entry, wire: Wire) -> None:
        """Relays a stream chunk by chunk; what the caller did not ask for (usage) is taken out on the way.

        The caller's answer ends with `[DONE]`. What the upstream does after that is read aside, since a connection
        can only be used again once its response has ended.
        """
        collects = shelf.key is not None or entry.sample is not None or entry.keeps_text or entry.checked
        tap = StreamTap(strip_usage=not request.wants_usage, collect_limit=COLLECT_BYTES if collects else 0)
        entry.began(200)
        await wire.start(200, [*told(entry), *passed_on(served)])
        chunks = served.answer.chunks()
        try:
            async for chunk in chunks:
                if out := tap.feed(chunk):
                    if tap.saw_content or tap.saw_done:  # not the comments that hold a connection
                        entry.first_byte()
                    await wire.write(out)
                if tap.saw_done:
                    break
            await wire.end(tap.finish())
        except UpstreamError as error:
            entry.failed(error)
            await wire.end(error_event(error.body()))
        finally:
            entry.billed(tap.usage, tap.output_tokens_estimate)
            entry.row.finish_reason = tap.finish_reason
            if tap.error is not None and entry.row.outcome == "ok":  # clients hang up as soon as they read of it
                entry.failed(UpstreamBroken("The upstream reported an error in mid-stream."))
            if entry.keeps_text:
                collected = tap.collected
                entry.keep_text(request.body.text, collected.decode("utf-8", "replace") if collected else None)
        self._write_down(entry)
        if entry.checked:
            self._verifier.offer(request, entry.row, tap.collected, verifies=entry.verifies)
        if entry.row.outcome == "ok" and (shelf.key is not None or entry.sample is not None) and tap.collected:
            body = await _assembled(tap.collected)
            if body is not None and shelf.key is not None and storable(body, 200):
                answered_by = entry.row.model or served.model.name  # known late where the connection was held
                await shelf.keep(stored(body, answered_by, entry.row.complexity, entry.row.usage))
            if body is not None and entry.sample is not None:
                self._auditor.offer(entry.sample, entry.row, orjson.loads(body))
        with suppress(UpstreamError):
            async for _after_done in chunks:
                pass

    def _write_down(self, entry: Entry) -> None:
        """Hands the rows over: as soon as the caller has the whole answer, for feedback may come at once."""
        rows = entry.close()
        for row in rows:
            self._record(row)
        if rows and entry.account is not None:
            entry.account.settle(rows)
        if rows and entry.ask is not None:
            self._hints.notice(rows[0], entry.ask, entry.completion)


async def _assembled(events: bytes) -> bytes | None:
    """The plain completion of a stream; a long one is put together beside the event loop."""
    return await asyncio.to_thread(assemble, events) if len(events) > ASSEMBLED_ASIDE_BYTES else assemble(events)
