"""Several parts asked at once, their answers taken as they come. What is not served is a row under the request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from router.domain import Part, Purpose
from router.errors import UpstreamError
from router.plans.contract import InnerCall, Served, Work
from router.plans.inner import AskOf, Drafted, as_inner, as_served, draft
from router.plans.reach import Reach

ALONE = "what was asked for cannot be compared or combined"


class Together:
    """`async with` it: the parts are asked when the block begins; whoever has not answered by its end is broken off.

    purpose: of the rows of answers that do not go out. drafts, errors: by the part's place, as far as they are over; a
    draft may be a refusal of the upstream (status 400, say).
    """

    def __init__(self, reach: Reach, ask_of: AskOf, work: Work, parts: Sequence[Part], purpose: Purpose):
        self.drafts: dict[int, Drafted] = {}
        self.errors: dict[int, UpstreamError] = {}
        self._reach, self._ask_of, self._work, self._purpose = reach, ask_of, work, purpose
        self._parts = parts
        self._tasks: dict[asyncio.Task[Drafted], int] = {}
        self._served: Drafted | None = None
        self._rows: dict[int, InnerCall] = {}

    async def __aenter__(self) -> Self:
        self._tasks = {asyncio.create_task(self._ask(part)): place for place, part in enumerate(self._parts)}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        left: asyncio.CancelledError | None = None
        while pending := [task for task in self._tasks if not task.done()]:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as cancelled:  # the caller leaves just now: the rows are written all the same
                left = cancelled
        if left is not None:
            self._served = self._work.answered_by = None
        for task, place in self._tasks.items():
            if not task.cancelled() and task.exception() is None and (drafted := task.result()) is not self._served:
                self.drafts[place], self._rows[place] = drafted, as_inner(drafted, self._purpose)
                self._work.inner.append(self._rows[place])
        if left is not None:
            raise left

    @property
    def good(self) -> list[int]:
        """The places of those that have answered and were not refused, in the policy's order."""
        return sorted(place for place, drafted in self.drafts.items() if drafted.status == 200)

    async def next(self) -> list[int]:
        """The places of those that are over since; waits for one at least. Empty once all are over."""
        waiting = [task for task, place in self._tasks.items() if not self._is_over(place)]
        if not waiting:
            return []
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        over = sorted(self._tasks[task] for task in done)
        for task in done:
            place = self._tasks[task]
            try:
                self.drafts[place] = task.result()
            except UpstreamError as failure:
                self.errors[place] = failure
        return over

    async def wait(self, place: int) -> None:
        """Until this part is over."""
        while not self._is_over(place):
            await self.next()

    def serve(self, place: int) -> Served:
        """This answer goes out as it came: its call is the request's own row."""
        self._served = self.drafts[place]
        return as_served(self._served, self._work)

    def serve_after_all(self, place: int) -> Served:
        """The same once the block is over: its row under the request becomes the request's own."""
        self._work.inner.remove(self._rows.pop(place))
        return as_served(self.drafts[place], self._work)

    def failed(self) -> Served:
        """Where no part gave an answer: an upstream's refusal, as it came. Raises the last part's error without one."""
        if self.drafts:
            return self.serve(max(self.drafts))
        raise self.errors[max(self.errors)]

    def _is_over(self, place: int) -> bool:
        return place in self.drafts or place in self.errors

    async def _ask(self, part: Part) -> Drafted:
        body = await self._ask_of(part, self._work)
        model = self._work.models[part.model]
        return await draft(self._reach, model, self._work, body=body, part=part, purpose=self._purpose)


def combinable(values: Mapping[str, Any]) -> bool:
    """Whether answers to this body can be laid side by side: one choice each, in words or tool calls."""
    modalities = values.get("modalities")
    aloud = values.get("audio") or (isinstance(modalities, list) and "audio" in modalities)
    return not aloud and (values.get("n") or 1) == 1
