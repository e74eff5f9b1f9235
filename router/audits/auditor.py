"""Audits requests: draws a uniform sample, has the other model answer too, has both answers weighed, labels both.

Of the other requests a share is reviewed: the judge scores the answer that went out, alone, and nobody answers again.

All of it runs in the background of the gateway, after the caller has the answer; bodies live in memory only, at most 64
wait, and what overflows is counted. Nothing here can fail, slow down or change a request.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
from msgspec import Struct

from router.ask import user_text
from router.audits.weighing import Scores, body_for, joined, review_body_for, score_in, scores_in
from router.body import Body, parse_body
from router.domain import Ask, Decision, ModelSpec, Outcome, Purpose, Verdict
from router.errors import SignalboxError, StoreAway
from router.inner_rows import attempt_row, inner_row
from router.ledger.contract import NewLabel
from router.plans.contract import Work
from router.plans.heard import said
from router.plans.inner import Drafted, as_inner, as_plain, draft
from router.plans.reach import Reach
from router.policy.compiled import Audit, Policy, Route
from router.prices import estimate_usd

log = logging.getLogger(__name__)

MOST_WAITING = 64
AT_A_TIME = 4
KEY = "audit"
"""Under this key the labels of audits stand in the ledger."""
REVIEWED = 0.5
"""What the label of a review weighs: one asking, where an audit's two orders weigh 1."""
_DAY_SECONDS = 86_400
_JUDGING_TOKENS = 300
_TOOL_ROLES = ("tool", "function")


class Sample(Struct, frozen=True):
    """A request that was drawn. other: the model that answers too, None for a review. models: of the policy."""

    settings: Audit
    route: str
    body: Body
    answered: ModelSpec
    other: ModelSpec | None
    judge: ModelSpec
    models: Mapping[str, ModelSpec]
    input_tokens: int
    output_tokens: int


class Job(Struct, frozen=True):
    """A drawn request whose answer went out. row: its row in the ledger. text: of the answer."""

    sample: Sample
    row: Outcome
    text: str


class Labels(Protocol):
    """The part of the ledger's store that takes labels."""

    async def add_labels(self, tenant: str, given: Sequence[NewLabel]) -> None: ...


class Auditor:
    """The audits of one process. draw: uniform in [0, 1). clock: unix seconds, for the day's budget."""

    def __init__(
        self,
        reach: Reach,
        record: Callable[[Outcome], None],
        labels: Labels,
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ):
        self._reach, self._record, self._labels = reach, record, labels
        self._draw, self._clock = draw, clock
        self._waiting: deque[Job] = deque()
        self._unwritten: deque[tuple[str, list[NewLabel]]] = deque()
        self.running = 0
        """Audits under way."""
        self._spent: dict[str, tuple[int, float]] = {}
        self.counts = dict.fromkeys(
            ("drawn", "overflowed", "over_budget", "failed", "unread", "labelled", "agreed", "reviewed"), 0
        )
        """What became of requests that were drawn, since the start."""

    @property
    def waiting(self) -> int:
        """Audits not yet begun, and those whose labels are not yet written."""
        return len(self._waiting) + len(self._unwritten)

    def sample(
        self, target: Route | ModelSpec, policy: Policy, ask: Ask, verdict: Verdict, body: Body
    ) -> Sample | None:
        """Whether this request is audited: by chance alone among those that can be.

        Cannot be: models named outright, plans of several calls, housekeeping, images, several choices, tool loops; a
        private ask unless both models and the judge are private; an ask that the other model may not serve. Of what is
        not audited a share is reviewed in the same way.
        """
        if not isinstance(target, Route) or target.audit is None:
            return None
        rate, drawn = target.audit.rate, self._draw()
        if drawn >= rate + (1.0 - rate) * target.audit.review:
            return None
        decision = verdict.decision
        values = body.values
        if (
            decision.plan != "single"
            or ask.housekeeping
            or ask.images
            or values.get("n") not in (None, 1)
            or values["messages"][-1].get("role") in _TOOL_ROLES
        ):
            return None
        other = _other(target, policy, decision) if drawn < rate else None
        if drawn < rate and (other is None or verdict.eligible[other.name] is not True):
            return None
        judge = policy.models[target.audit.judge]
        answered = policy.models[decision.model]
        shown = [answered] if other is None else [answered, other]
        if ask.private and not all(model.private for model in (*shown, judge)):
            return None
        if judge in shown and not target.audit.judges_itself:
            return None
        return Sample(
            target.audit,
            target.name,
            body,
            answered,
            other,
            judge,
            policy.models,
            ask.input_tokens,
            ask.output_tokens,
        )

    def offer(self, sample: Sample, row: Outcome, completion: dict[str, Any] | None) -> None:
        """Takes a drawn request whose answer is out. Never waits, never raises."""
        if row.outcome != "ok" or row.model != sample.answered.name:  # a fallback answered: not the pair that was drawn
            return
        text, tool_calls = said(completion)
        if tool_calls or not text.strip():
            return
        self.counts["drawn"] += 1
        if len(self._waiting) >= MOST_WAITING:
            self.counts["overflowed"] += 1
            return
        self._waiting.append(Job(sample, row, text))

    async def poll(self) -> None:
        """Works off what waits, a few at a time. Raises StoreAway where their labels cannot be written: these wait on,
        for they are paid for, and nobody is asked before they are written."""
        await self.write()
        while self._waiting:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_A_TIME, len(self._waiting))):
                    group.create_task(self._audit(self._waiting.popleft()))
            await self.write()

    async def _keep(self, tenant: str, given: list[NewLabel]) -> None:
        try:
            await self._labels.add_labels(tenant, given)
        except StoreAway:
            self._unwritten.append((tenant, given))

    async def write(self) -> None:
        """Writes labels that the store did not take before. Raises what the store raises; they wait on then."""
        while self._unwritten:
            await self._labels.add_labels(*self._unwritten[0])
            self._unwritten.popleft()

    async def _audit(self, job: Job) -> None:
        sample = job.sample
        expected = _expected_usd(sample)
        if self._spent_today(sample.route) + expected > sample.settings.budget_usd:
            self.counts["over_budget"] += 1
            return
        self._spend(sample.route, expected)  # at once, for others run beside it
        rows: list[Outcome] = []
        self.running += 1
        try:
            if sample.other is None:
                await self._review(job, rows)
            else:
                await self._answer_and_weigh(job, sample.other, rows)
        except SignalboxError as error:
            self.counts["failed"] += 1
            log.debug("an audit came to nothing: %s", error)
        except Exception:  # or those that run beside it would be cancelled
            self.counts["failed"] += 1
            log.exception("an audit broke")
        finally:
            self.running -= 1
            cost = sum(row.cost_nano or 0 for row in rows) / 1e9
            self._spend(sample.route, cost - expected)
            for row in rows:
                self._record(row)

    async def _review(self, job: Job, rows: list[Outcome]) -> None:
        sample, row = job.sample, job.row
        asked = review_body_for(_conversation(sample.body), job.text, schema=_takes_schema(sample.judge))
        judged = await self._judge(asked, "review", job, rows)
        score = score_in(judged.text) if judged.status == 200 else None
        if score is None:
            self.counts["unread"] += 1
            return
        self.counts["reviewed"] += 1
        label = NewLabel(row.request_id, KEY, "judge", score, REVIEWED, f"judged by {sample.judge.name}, alone")
        await self._keep(row.tenant, [label])

    async def _answer_and_weigh(self, job: Job, other: ModelSpec, rows: list[Outcome]) -> None:
        sample, row = job.sample, job.row
        answer = await self._ask(other, as_plain(sample.body), "audit", "audit", job, rows)
        if answer.status != 200 or answer.tool_calls:
            self.counts["failed"] += 1
            return
        request = _conversation(sample.body)
        pairs = ((job.text, answer.text), (answer.text, job.text))
        seen: list[Scores | None] = []
        for number, (a, b) in enumerate(pairs, start=1):
            asked = body_for(request, a, b, schema=_takes_schema(sample.judge))
            judged = await self._judge(asked, f"judge{number}", job, rows)
            seen.append(scores_in(judged.text) if judged.status == 200 else None)
        weighed = joined(seen[0], seen[1])
        if weighed is None:
            self.counts["unread"] += 1
            return
        self.counts["labelled"] += 1
        self.counts["agreed"] += weighed.agree is True
        weight = weighed.askings / 2
        orders = "one order read" if weighed.agree is None else f"orders {'agree' if weighed.agree else 'disagree'}"
        comment = f"judged by {sample.judge.name}; {orders}"
        scores = ((row.request_id, weighed.first), (f"{row.request_id}.audit", weighed.second))
        pair = [NewLabel(name, KEY, "judge", score, weight, comment) for name, score in scores]
        await self._keep(row.tenant, pair)

    async def _judge(self, asked: Mapping[str, Any], name: str, job: Job, rows: list[Outcome]) -> Drafted:
        judge = job.sample.judge
        body = parse_body(orjson.dumps({"model": judge.name, **asked}))
        return await self._ask(judge, body, "judge", name, job, rows)

    async def _ask(
        self, model: ModelSpec, body: Body, purpose: Purpose, name: str, job: Job, rows: list[Outcome]
    ) -> Drafted:
        """One call, whose rows are added whatever becomes of it."""
        sample = job.sample
        decision = Decision("single", model.name, job.row.rule)
        work = Work(
            f"{job.row.request_id}.{name}", body, False, {}, decision, sample.models, input_tokens=sample.input_tokens
        )
        try:
            answer = await draft(self._reach, model, work, stream=False, purpose=purpose)
            rows.append(inner_row(job.row, name, as_inner(answer, purpose)))
            return answer
        finally:
            rows += (attempt_row(job.row, f"{name}.{n}", attempt) for n, attempt in enumerate(work.failed, start=1))
            rows += (inner_row(job.row, f"{name}.cut{n}", call) for n, call in enumerate(work.inner, start=1))

    def _spent_today(self, route: str) -> float:
        """Dollars that a route's audits took on this day, UTC, those under way as expected."""
        day, spent = self._spent.get(route, (0, 0.0))
        return spent if day == self._day() else 0.0

    def _spend(self, route: str, dollars: float) -> None:
        self._spent[route] = (self._day(), max(0.0, self._spent_today(route) + dollars))

    def _day(self) -> int:
        return int(self._clock() // _DAY_SECONDS)


def _other(route: Route, policy: Policy, decision: Decision) -> ModelSpec | None:
    """Whom the answering model is compared with: the baseline; or for the baseline whoever would have answered in its
    place, had the rule's `max_risk` been proven, else the cheapest small model."""
    if decision.unproven not in (None, decision.model):
        return policy.models[decision.unproven]
    baseline = policy.models[route.baseline] if route.baseline is not None else None
    other = baseline if baseline is None or decision.model != baseline.name else policy.cheapest_small
    return None if other is None or other.name == decision.model else other


def _takes_schema(judge: ModelSpec) -> bool:
    return judge.supports is None or "json_schema" in judge.supports


def _expected_usd(sample: Sample) -> float:
    """Dollars that an audit may take: the other answer, and the judge reading both answers twice; or one review."""
    if sample.other is None:
        return estimate_usd(sample.input_tokens + sample.output_tokens, _JUDGING_TOKENS, sample.judge.price) or 0.0
    answer = estimate_usd(sample.input_tokens, sample.output_tokens, sample.other.price) or 0.0
    reading = sample.input_tokens + 2 * sample.output_tokens
    return answer + 2 * (estimate_usd(reading, _JUDGING_TOKENS, sample.judge.price) or 0.0)


def _conversation(body: Body) -> list[tuple[str, str]]:
    """The turns of a request as the judge reads them: system, user and assistant, without what a harness put in."""
    turns = []
    for message in body.values["messages"]:
        text = user_text(message)
        if text and message.get("role") not in _TOOL_ROLES:
            turns.append((str(message.get("role")), text))
    return turns
