"""Labels of checks that the gateway makes itself, after the answer is out: the form that was asked for, and what the
caller said that a right answer looks like.

An answer whose form is wrong (no JSON, against its schema, a tool call that cannot be made) is surely no good: 0, from
a verifier. One whose form is right gets no label, for that says little of what is in it, and a verifier silences
everybody else. Private asks are left alone. Answers are in memory only, and bounded; nothing of them is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from msgspec import Struct

from classifiers.contract import FORM_KEY
from router.asked import ChatRequest
from router.audits.expecting import as_expected
from router.domain import Ask, Outcome
from router.expected import Expected
from router.ledger.contract import NewLabel
from router.plans.heard import completion_of, said
from router.plans.shapes import misshapen

log = logging.getLogger(__name__)

EXPECT = "gateway:expect"
"""The key of labels that say whether an answer is as expected."""

MOST_WAITING: Final = 256
MOST_BYTES: Final = 32 * 1024 * 1024
"""Answers and requests that wait, together."""
AT_ONCE: Final = 50
"""Checks in one look, of which there is one a second: a bound on what they may cost, whatever the load."""
MOST_UNWRITTEN: Final = 1_000

_CUT: Final = ("length", "max_tokens", "content_filter")
_CALLS: Final = ("tool_calls", "function_call")


class Keeping(Protocol):
    """The part of the ledger's store that keeps labels."""

    async def add_labels(self, tenant: str, given: Sequence[NewLabel]) -> None: ...


class _Job(Struct, frozen=True):
    """answer: the completion, or the events of a stream."""

    request_id: str
    tenant: str
    key: str
    verifies: bool
    values: Mapping[str, Any]
    expected: Expected | None
    checks_form: bool
    answer: dict[str, Any] | bytes
    size: int
    at_unix: float


class Verifier:
    """The checks of one process."""

    def __init__(self, labels: Keeping):
        self._labels = labels
        self._waiting: deque[_Job] = deque()
        self._unwritten: list[tuple[str, NewLabel]] = []
        self._bytes = self._looking = 0
        self.counts = dict.fromkeys(("failed", "passed", "unread", "overflowed"), 0)
        """What became of answers that were to be checked, since the start."""

    @property
    def waiting(self) -> int:
        """Answers not yet checked, and labels not yet written."""
        return len(self._waiting) + self._looking + len(self._unwritten)

    def offer(
        self, request: ChatRequest, row: Outcome, answer: dict[str, Any] | bytes | None, *, verifies: bool
    ) -> None:
        """Takes an answer that is out. Never waits, never raises."""
        values, expected = request.body.values, request.expected
        checks_form = row.finish_reason not in _CUT and _has_form(values, row.finish_reason)
        if row.outcome != "ok" or row.status != 200 or answer is None or not (checks_form or expected is not None):
            return
        size = len(request.body.text) + (len(answer) if isinstance(answer, bytes) else 4 * row.usage.output)
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            self.counts["overflowed"] += 1
            return
        self._bytes += size
        self._waiting.append(
            _Job(
                row.request_id, row.tenant, row.key, verifies, values, expected, checks_form, answer, size, time.time()
            )
        )

    async def poll(self) -> None:
        """Checks some of what waits, beside the event loop, and writes what came of it. Raises what the store raises;
        what was not written waits on."""
        jobs = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        self._bytes -= sum(job.size for job in jobs)
        if jobs:
            self._looking = len(jobs)
            try:
                self._take(jobs, await asyncio.to_thread(_check_all, jobs))
            finally:
                self._looking = 0
        self._unwritten.sort(key=lambda one: one[0])
        while self._unwritten:
            tenant = self._unwritten[0][0]
            of_tenant = [label for name, label in self._unwritten if name == tenant]
            await self._labels.add_labels(tenant, of_tenant)
            self._unwritten = [one for one in self._unwritten if one[0] != tenant]

    async def finish(self) -> None:
        """Checks and writes all that waits. Raises what the store raises."""
        while self.waiting:
            await self.poll()

    def _take(self, jobs: Sequence[_Job], found: Sequence[tuple[str, list[NewLabel]]]) -> None:
        for job, (result, labels) in zip(jobs, found, strict=True):
            if len(self._unwritten) + len(labels) > MOST_UNWRITTEN:
                result = "overflowed"
            else:
                self._unwritten += ((job.tenant, label) for label in labels)
            self.counts[result] += 1


def wants_answer(request: ChatRequest, ask: Ask) -> bool:
    """Whether the answer of this request may have to be checked, so that a stream must be collected."""
    if ask.private:
        return False
    if request.expected is not None:
        return True
    if ask.housekeeping:
        return False
    return bool(ask.tools or ask.json_schema) or _asks_for_json(request.body.values)


def _asks_for_json(values: Mapping[str, Any]) -> bool:
    wanted = values.get("response_format")
    return wanted is not None and wanted.get("type") in ("json_object", "json_schema")


def _has_form(values: Mapping[str, Any], finish_reason: str | None) -> bool:
    """Whether there is a form to look at: JSON was asked for, or tools were called, or had to be."""
    choice = values.get("tool_choice")
    forced = choice == "required" or isinstance(choice, dict)
    return _asks_for_json(values) or bool(values.get("tools") and (forced or finish_reason in _CALLS))


def _check_all(jobs: Sequence[_Job]) -> list[tuple[str, list[NewLabel]]]:
    return [_check(job) for job in jobs]


def _check(job: _Job) -> tuple[str, list[NewLabel]]:
    """What became of a check, and the labels that it gave. Never raises."""
    try:
        completion = completion_of(job.answer) if isinstance(job.answer, bytes) else job.answer
        if completion is None:
            return "unread", []
        text, tool_calls = said(completion)
        labels: list[NewLabel] = []
        wrong = misshapen(completion, text, tool_calls, job.values) if job.checks_form else None
        if wrong is not None:
            labels.append(_label(job, FORM_KEY, "verifier", 0.0, wrong))
        right: bool | None = True
        if job.expected is not None:
            right, forms = as_expected(text, job.expected, job.values)
            if right is not None:
                note = f"{'as' if right else 'not as'} expected: {forms}"
                key, source = (EXPECT, "verifier") if job.verifies else (job.key, "user")
                labels.append(_label(job, key, source, float(right), note))
        failed = any(label.score == 0.0 for label in labels)
        return "failed" if failed else "unread" if right is None else "passed", labels
    except Exception:  # a hole in a check must not cost the others theirs
        log.exception("the answer to %s could not be checked", job.request_id)
        return "unread", []


def _label(job: _Job, key: str, source: Any, score: float, note: str) -> NewLabel:
    """Of the time at which the answer was out: what somebody says later is not overruled by a late check."""
    return NewLabel(job.request_id, key, source, score, comment=note, at_unix=job.at_unix)
