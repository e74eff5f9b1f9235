"""From several labels to one: how much each source counts, and how little one key may move the judge.

The rule, in full:

1. A *verifier* saw whether the answer is right (an exact answer, a test). Where one spoke, nobody else is heard.
2. Else the score is the weighted mean of all labels, each label's weight times what its source counts (`COUNTS`).
3. A request weighs what its labels weigh together, at most one: many thumbs are still one request.
4. The *user* labels of one key weigh together at most `MOST_OF_A_KEY` of what all other labels do, once those weigh
   `WITNESSES` or more. Beyond it each of that key's labels is scaled down alike. So one key that thumbs everything
   down moves a head no further than labels of that share do. Where there is nobody else to go by (one application
   behind one key), its labels count in full: it is its own router that it moves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from classifiers.contract import Label, LabelSource, LoggedDecision

COUNTS: Final[Mapping[LabelSource, float]] = {"verifier": 1.0, "judge": 0.8, "user": 0.6, "implicit": 0.2}
"""How much a label of each source counts. Set by us, in the order of what is known of their noise; not fitted."""
MOST_OF_A_KEY: Final = 0.1
WITNESSES: Final = 30.0
"""What others' labels must weigh before they hold a key down, in labels that count in full."""


def combined(labels: Sequence[Label]) -> tuple[float, float] | None:
    """(score, weight), both in 0..1; None where no label weighs anything."""
    verified = [label for label in labels if label.source == "verifier" and label.weight > 0]
    heard = verified or labels
    weights = [COUNTS[label.source] * max(0.0, label.weight) for label in heard]
    total = sum(weights)
    if total <= 0:
        return None
    score = sum(weight * label.score for weight, label in zip(weights, heard, strict=True)) / total
    return min(1.0, max(0.0, score)), min(1.0, total)


def capped(logged: Sequence[LoggedDecision]) -> list[LoggedDecision]:
    """The same requests, with no key's user labels weighing more than rule 4 allows. Labels without a key are left."""
    by_key: dict[str, float] = defaultdict(float)
    total = 0.0
    for row in logged:
        for label in row.labels:
            weight = COUNTS[label.source] * max(0.0, label.weight)
            total += weight
            if label.source == "user" and label.key:
                by_key[label.key] += weight
    scale = {
        key: limit / weight
        for key, weight in by_key.items()
        if total - weight >= WITNESSES and weight > (limit := MOST_OF_A_KEY * (total - weight))
    }
    if not scale:
        return list(logged)
    return [replace(row, labels=tuple(_scaled(label, scale) for label in row.labels)) for row in logged]


def _scaled(label: Label, scale: Mapping[str, float]) -> Label:
    factor = scale.get(label.key, 1.0) if label.source == "user" else 1.0
    return label if factor == 1.0 else replace(label, weight=label.weight * factor)
