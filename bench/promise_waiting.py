"""How long a plan's answers take: recorded lengths of real answers, at speeds that are stated and not measured.

A call takes OVERHEAD, its tokens in at PREFILL, and its tokens out at the model's speed. Answers are waited for whole,
as `cascade` and `agree` do. A vote is over when the answers that are there suffice, or when those still out cannot
bring enough; calls run side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from classifiers.training import promise
from classifiers.training.dataset import OutcomeRow
from classifiers.training.fit import Floats
from classifiers.training.pairing import Paired, tokens_in, tokens_out
from classifiers.training.promise import Plan
from classifiers.trust import agreed

OVERHEAD: Final = 0.2
"""Seconds of network and queue for each call."""
PREFILL: Final = 2000.0
SMALL_SPEED, LARGE_SPEED = 80.0, 50.0
"""Tokens a second."""


def waiting(
    rows: Sequence[OutcomeRow],
    paired: Paired,
    voters: Sequence[str],
    large: str,
    agree: Plan,
    cascade: Plan,
    quality: Floats,
    keep: float,
) -> dict[str, Any]:
    """Seconds to the last token, p50 and p95 over all rows; `added`: what the plan puts before the large model's answer
    where that is asked after others."""
    asked_in = tokens_in(paired.vectors)

    def seconds(model: str, speed: float) -> Floats:
        return OVERHEAD + asked_in / PREFILL + tokens_out(rows, model) / speed

    alone, last = seconds(voters[0], SMALL_SPEED), seconds(large, LARGE_SPEED)
    taken = np.stack([seconds(voter, SMALL_SPEED) for voter in voters], axis=1)
    threshold = promise.keeping_quality(agree, keep)
    asked = agree.ceiling >= threshold
    settled = np.array(
        [_settled(row, voters, times, share, threshold) for row, times, share in zip(rows, taken, quality, strict=True)]
    )
    first_threshold = promise.keeping_quality(cascade, keep)
    plans = {
        "small": alone,
        "large": last,
        "agree": np.where(asked, settled, 0.0) + np.where(agree.trust >= threshold, 0.0, last),
        "cascade": np.where(cascade.ceiling >= first_threshold, alone, 0.0)
        + np.where(cascade.trust >= first_threshold, 0.0, last),
    }
    after_votes = asked & (agree.trust < threshold)
    after_draft = (cascade.ceiling >= first_threshold) & (cascade.trust < first_threshold)
    return {
        "seconds": {name: _points(values) for name, values in plans.items()},
        "added": {"agree": _points(settled[after_votes]), "cascade": _points(alone[after_draft])},
        "share_after_votes": float(after_votes.mean()),
        "share_after_draft": float(after_draft.mean()),
    }


def _settled(row: OutcomeRow, voters: Sequence[str], times: Floats, quality: float, threshold: float) -> float:
    """When the vote is over: enough are there, or enough can no longer come."""
    counts: Counter[str] = Counter()
    for out, turn in enumerate(np.argsort(times, kind="stable"), 1):
        answer = row.answers[voters[turn]]
        counts[answer] += 1 if answer is not None else 0
        still = len(voters) - out
        most = max(counts.values(), default=0)
        given = sum(counts.values())
        worst = agreed(most, len(voters), quality, given - most + still) if most else -1.0
        best = agreed(most + still, len(voters), quality, given - most) if most + still else -1.0
        if worst >= threshold or best < threshold:
            return float(times[turn])
    return float(times.max())


def _points(values: Floats) -> dict[str, float] | None:
    if not len(values):
        return None
    p50, p95 = np.percentile(values, (50, 95))
    return {"p50": float(p50), "p95": float(p95)}
