"""What the demo promises to show, each as a check on what happened. `--exit` ends with 0 only when all are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from router.demo.asking import Reply
from router.demo.questions import Level
from router.demo.story import Relearned, Story

EASY_TO_SMALL, EXPERT_TO_LARGE = 0.75, 0.60
"""Shares below which the demo no longer shows that the judge tells easy from hard. Hard questions lie between: some of
them a small model answers well. What the shipped judge really reaches on prompts it never saw is measured by
bench/day_one.py, not here."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise: whether it was kept, and the figure behind it."""

    name: str
    kept: bool
    figure: str


def claims(story: Story) -> tuple[Claim, ...]:
    """All promises of this run. With real models, those that need known answers and known models are left out."""
    if story.relearned is None:
        return tuple(_always(story))
    return (*_routed(story), *_always(story), *_paid(story), *_relearned(story, story.relearned))


def _routed(story: Story) -> Iterator[Claim]:
    yield _share("easy -> small", story, "small", ("easy", "trivial"), EASY_TO_SMALL)
    yield _share("hard -> large", story, "large", ("expert", "hard"), EXPERT_TO_LARGE)
    private = [reply for reply in story.first if reply.question.kind == "private"]
    local = sum(reply.model == "small" and reply.cache == "bypass" for reply in private)
    yield Claim("private -> local", local == len(private) > 0, f"{local} of {len(private)}, none kept in the cache")


def _paid(story: Story) -> Iterator[Claim]:
    total = story.costs["total"]
    spent, baseline = total["spend_usd"], total["baseline_usd"]
    cheaper = spent is not None and baseline is not None and 0 < spent < baseline and total["unpriced"] == 0
    figure = f"${spent or 0:.4f} spent, ${baseline or 0:.4f} had all gone to large"
    yield Claim("cheaper", cheaper, f"{figure}: {1 - spent / baseline:.0%} saved" if cheaper else figure)


def _relearned(story: Story, changed: Relearned) -> Iterator[Claim]:
    yield Claim("feedback", min(story.up, story.down) > 0, f"{story.up} thumbs up, {story.down} down")
    taken_up = changed.judge_after != changed.judge_before
    yield Claim("retrained", taken_up, f"{changed.judge_before} -> {changed.judge_after}, without a restart")
    moved, asked = len(changed.moved), len(changed.after)
    up = sum(changed.after[text] == "large" for text in changed.moved)
    demanding = [changed.after[reply.question.text] for reply in _plain(story, "hard", "expert")]
    now = demanding.count("large") / len(demanding)
    where = f"{up} up to large, {moved - up} down to small; hard -> large {now:.0%} now"
    yield Claim("moved", moved > 0, f"{moved} of {asked} ({moved / asked:.0%}): {where}")


def _always(story: Story) -> Iterator[Claim]:
    hits = sum(reply.cache == "hit" for reply in story.again)
    yield Claim("repeat -> cache", hits == len(story.again) > 0, f"{hits} of {len(story.again)}")
    reasons = [bool(why(document)) for document in story.explained]
    yield Claim("explained", len(reasons) == 3 and all(reasons), f"{sum(reasons)} decisions, see above")
    answered = story.costs["total"]["requests"]
    sent = len(story.first) + len(story.again)
    streamed = sum(reply.streamed for reply in (*story.first, *story.again))
    whole = answered == sent and 0 < streamed < sent and story.costs["total"]["errors"] == 0
    yield Claim("answered", whole, f"{answered} of {sent} in the ledger, {streamed} of them streamed")
    p50, p99 = overhead_ms(story)
    yield Claim("overhead", p50 > 0, f"p50 {p50:.2f} ms, p99 {p99:.2f} ms of the gateway's own, on this machine")


def overhead_ms(story: Story) -> tuple[float, float]:
    """p50 and p99 of what the gateway itself added, over everything that was asked, in ms."""
    p50, p99 = np.percentile([reply.overhead_ms for reply in (*story.first, *story.again)], [50, 99])
    return float(p50), float(p99)


def why(document: Mapping[str, Any]) -> str:
    """Why it was decided so, out of a document of `/v1/decisions`; empty when that does not say."""
    if document["decision"]["rule"] == "default":
        return "no rule applies, so the policy's default serves"
    return next((rule["why"] for rule in document["rules"] if rule["matched"]), "")


def _share(name: str, story: Story, model: str, levels: tuple[Level, Level], least: float) -> Claim:
    """How much of two levels goes to the model; the first level's share has to reach `least`."""
    goes = {level: [reply.model == model for reply in _plain(story, level)] for level in levels}
    figure = ", ".join(f"{level} {sum(g)} of {len(g)} ({sum(g) / len(g):.0%})" for level, g in goes.items())
    counted = goes[levels[0]]
    return Claim(name, sum(counted) / len(counted) >= least, figure)


def _plain(story: Story, *levels: Level) -> list[Reply]:
    return [reply for reply in story.first if reply.question.kind == "plain" and reply.question.level in levels]
