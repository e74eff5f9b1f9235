"""The run of the demo, from the first question to the retrained judge, kept as values for whoever tells of it.

Which of it had to happen is `router.demo.claims`'s to say; how it is printed, `router.demo.printout`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.demo.asking import Client, Reply, each
from router.demo.questions import Question
from router.demo.stage import StageError
from router.demo.standins import is_right

TAKEN_UP_SECONDS = 20.0
"""How long the running gateway may take to notice a promotion; it looks every few seconds."""

ROWS_SECONDS = 10.0
"""How long the ledger may take to show what was answered."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Relearned:
    """What one retraining changed: the judge before and after, and where each question would go by each."""

    judge_before: str
    judge_after: str
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def moved(self) -> tuple[str, ...]:
        """The questions that now go elsewhere."""
        return tuple(text for text, model in self.before.items() if self.after[text] != model)


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that happened. explained: three documents of `/v1/decisions`. costs: that of `/api/costs`.

    up, down: thumbs given. relearned: None where the models were real, since nobody graded them.
    """

    first: tuple[Reply, ...]
    again: tuple[Reply, ...]
    explained: tuple[Mapping[str, Any], ...]
    costs: Mapping[str, Any]
    policy: str
    up: int
    down: int
    relearned: Relearned | None
    seconds: float


async def tell(client: Client, asked: Sequence[Question], say: Say, retrain: Callable[[], object] | None) -> Story:
    """Asks, asks again, gives feedback, retrains. retrain: blocks until a new judge was promoted; None: leave it out.

    Raises StageError when the gateway refuses something or is waited for in vain.
    """
    began = time.monotonic()
    say(f"asking {len(asked)} questions")
    first = await each(enumerate(asked), lambda item: client.ask(item[1], stream=item[0] % 2 == 0))
    # Asked again in the other form: a stream is served out of a plain answer, and the other way round.
    repeats = [reply for reply in first if reply.question.repeat]
    say(f"asking {len(repeats)} of them again")
    again = await each(repeats, lambda reply: client.ask(reply.question, stream=not reply.streamed))

    await _rows(client, len(first) + len(again))
    up = down = 0
    if retrain is not None:
        say("giving feedback")
        thumbs = [(reply, is_right(reply.question, reply.text)) for reply in first]
        await each(thumbs, lambda thumb: client.thumb(thumb[0], up=thumb[1]))
        up = sum(right for _, right in thumbs)
        down = len(thumbs) - up
    explained = await each(_three(first), lambda reply: client.get(f"/v1/decisions/{reply.request_id}"))
    costs = await client.get("/api/costs?by=model&since=24h")
    relearned = None if retrain is None else await _relearn(client, asked, say, retrain)
    policy = (await client.get("/readyz"))["policy"]
    seconds = time.monotonic() - began
    return Story(tuple(first), tuple(again), tuple(explained), costs, policy, up, down, relearned, seconds)


async def _relearn(client: Client, asked: Sequence[Question], say: Say, retrain: Callable[[], object]) -> Relearned:
    judge, before = await _would_go(client, asked)
    say("retraining the judge on what was logged")
    await asyncio.to_thread(retrain)
    deadline = time.monotonic() + TAKEN_UP_SECONDS
    while (now := await _judge(client, asked[0])) == judge:
        if time.monotonic() > deadline:
            raise StageError(
                f"the running gateway still judges by {judge}, {TAKEN_UP_SECONDS:.0f} s after the promotion"
            )
        await asyncio.sleep(0.25)
    say("asking where each question would go now")
    _, after = await _would_go(client, asked)
    return Relearned(judge, now, before, after)


async def _would_go(client: Client, asked: Sequence[Question]) -> tuple[str, dict[str, str]]:
    routes = await each(asked, client.route)
    models = {question.text: route["decision"]["model"] for question, route in zip(asked, routes, strict=True)}
    return routes[0]["assessment"]["classifier"], models


async def _judge(client: Client, question: Question) -> str:
    name: str = (await client.route(question))["assessment"]["classifier"]
    return name


async def _rows(client: Client, count: int) -> None:
    """Waits until the ledger, which writes behind the answers, shows them all."""
    deadline = time.monotonic() + ROWS_SECONDS
    while (await client.get("/api/costs?by=model&since=24h"))["total"]["requests"] < count:
        if time.monotonic() > deadline:
            raise StageError(f"the ledger does not show {count} requests after {ROWS_SECONDS:.0f} s")
        await asyncio.sleep(0.2)


def _three(replies: Sequence[Reply]) -> list[Reply]:
    """Three decisions worth explaining: a simple question, a demanding one, and a demanding one that is private."""

    def shown(kind: str, levels: Sequence[str], expected: str) -> Reply:
        fitting = [reply for reply in replies if reply.question.kind == kind and reply.question.level in levels]
        usual = (reply for reply in fitting if reply.model == expected and reply.question.language == "en")
        return next(usual, fitting[0])

    return [
        shown("plain", ["easy"], "small"),
        shown("plain", ["expert"], "large"),
        shown("private", ["hard", "expert"], "small"),
    ]
