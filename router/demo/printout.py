"""The demo in at most 40 lines of plain text. How a terminal colours them is the command's business."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from router.demo.claims import Claim, why
from router.demo.questions import LEVELS
from router.demo.standins import is_right
from router.demo.story import Story

MOST_LINES = 40
WIDTH = 110


def lines(story: Story, promises: Sequence[Claim], address: str, *, stays: bool) -> tuple[str, ...]:
    """The whole printout. address: of the gateway; stays: whether it is still there to be tried."""
    return tuple(_all(story, promises, address, stays=stays))


def _all(story: Story, promises: Sequence[Claim], address: str, *, stays: bool) -> Iterator[str]:
    simulated = story.relearned is not None
    languages = len({reply.question.language for reply in story.first})
    yield "SIGNALBOX DEMO"
    if simulated:
        yield "SIMULATED: both models (answers, speed, prices). Real: gateway, judge, cache, ledger, retraining."
    yield (
        f"{len(story.first)} questions in {languages} languages and {len(story.again)} repeats, "
        f"policy {story.policy}, {story.seconds:.0f} s"
    )
    yield ""
    yield from _table(story, simulated)
    yield ""
    yield "Three decisions explained"
    for document in story.explained:
        yield from _explained(document, {reply.request_id: reply.question.text for reply in story.first})
    yield ""
    for promise in promises:
        mark = "ok    " if promise.kept else "FAILED"
        note = "  (SIMULATED prices)" if simulated and promise.name == "cheaper" else ""
        yield _cut(f"{mark} {promise.name:<16} {promise.figure}{note}")
    if stays:
        yield ""
        yield "Try it:"
        yield (
            f"curl {address}/v1/chat/completions -H 'content-type: application/json' "
            """-d '{"model": "auto", "messages": [{"role": "user", "content": "hi"}]}' -i"""
        )
        yield f"Dashboard: {address}/dashboard   (Ctrl-C ends the demo)"


def _table(story: Story, simulated: bool) -> Iterator[str]:
    replies = (*story.first, *story.again)
    models = sorted({reply.model for reply in replies}, key=lambda name: (name != "small", name))
    graded = "  right, SIMULATED" if simulated else ""
    yield f"{'level':<10}" + "".join(f"{name:>10}" for name in (*models, "cache")) + graded
    for level in LEVELS:
        asked = [reply for reply in replies if reply.question.level == level]
        fresh = Counter(reply.model for reply in asked if reply.cache != "hit")
        cells = [*(fresh[name] for name in models), sum(reply.cache == "hit" for reply in asked)]
        right = sum(is_right(reply.question, reply.text) for reply in asked)
        grade = f"{right / len(asked):>17.0%}" if simulated else ""
        yield f"{level:<10}" + "".join(f"{cell:>10}" for cell in cells) + grade


def _explained(document: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
    decision, complexity = document["decision"], document["assessment"]["complexity"]
    text = " ".join(texts.get(document["request_id"], "").split())
    yield _cut(f'"{text}"')
    yield _cut(f"  -> {decision['model']} by rule '{decision['rule']}' (complexity {complexity:.2f}): {why(document)}")


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
