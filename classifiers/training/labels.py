"""From several labels to one: how much each source counts, and how little one key, or tenant, may move the judge.

The rule, in full:

1. A *verifier* saw whether the answer is right (an exact answer, a test). Where one spoke, nobody else is heard.
2. Else the score is the weighted mean of all labels, each label's weight times what its source counts (`COUNTS`).
3. A request weighs what its labels weigh together, at most one: many thumbs are still one request.
4. What one key causes (its *user* labels, the *implicit* ones of its requests, and those for answers of a form that its
   requests did not ask for: it can have as many of each as it likes) weighs together at most `MOST_OF_A_KEY` of what
   all other labels do, once those weigh `WITNESSES` or more. Beyond it each of these labels is scaled down alike. So
   one key that thumbs everything down moves a head no further than labels of that share do. Where there is nobody else
   to go by (one application behind one key), its labels count in full: it is its own router that it moves.
5. What all keys of one tenant cause weighs together at most `MOST_OF_A_TENANT` of what all other labels do, once labels
   of other tenants' requests weigh `WITNESSES` or more. Keys of one tenant that conspire are held by this alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from classifiers.contract import FORM_KEY, Label, LabelSource, LoggedDecision

COUNTS: Final[Mapping[LabelSource, float]] = {"verifier": 1.0, "judge": 0.8, "user": 0.6, "implicit": 0.2}
"""How much a label of each source counts. Set by us, in the order of what is known of their noise; not fitted."""
MOST_OF_A_KEY: Final = 0.1
MOST_OF_A_TENANT: Final = 0.5
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
    """The same requests, with nothing that one key or tenant causes weighing more than rules 4 and 5 allow."""
    by_key: dict[_Key, float] = defaultdict(float)
    of_tenant: dict[str, float] = defaultdict(float)
    for row in logged:
        for label in row.labels:
            weight = COUNTS[label.source] * max(0.0, label.weight)
            of_tenant[row.tenant] += weight
            if (key := _cause(row, label)) is not None:
                by_key[key] += weight
    scale = _scales(by_key, of_tenant)
    if not scale:
        return list(logged)
    return [_scaled(row, scale) for row in logged]


_Key = tuple[str, str]
"""Tenant and name of a key."""


def _cause(row: LoggedDecision, label: Label) -> _Key | None:
    """The key that could have had this label given at will; None for judges, programs that verify, and nobody's."""
    if label.source == "user":
        key = label.key
    elif label.source == "implicit" or label.key == FORM_KEY:
        key = row.key
    else:
        return None
    return (row.tenant, key) if key else None


def _scales(by_key: Mapping[_Key, float], of_tenant: Mapping[str, float]) -> dict[_Key, float]:
    """By key: what its labels are to be multiplied with, where that is not one. of_tenant: of all labels of its
    requests."""
    total = sum(of_tenant.values())
    scale = {key: _share(weight, MOST_OF_A_KEY, total - weight, total - weight) for key, weight in by_key.items()}
    caused: dict[str, float] = defaultdict(float)
    held: dict[str, float] = defaultdict(float)
    for key, weight in by_key.items():
        caused[key[0]] += weight
        held[key[0]] += weight * scale[key]
    for key in by_key:
        tenant = key[0]
        scale[key] *= _share(held[tenant], MOST_OF_A_TENANT, total - caused[tenant], total - of_tenant[tenant])
    return {key: factor for key, factor in scale.items() if factor < 1.0}


def _share(weight: float, most: float, others: float, witnesses: float) -> float:
    """How much of a weight may count beside what others weigh; all of it without enough witnesses."""
    if witnesses < WITNESSES or weight <= most * others:
        return 1.0
    return most * others / weight


def _scaled(row: LoggedDecision, scale: Mapping[_Key, float]) -> LoggedDecision:
    factors = [1.0 if (key := _cause(row, label)) is None else scale.get(key, 1.0) for label in row.labels]
    if all(factor == 1.0 for factor in factors):
        return row
    held = (replace(label, weight=label.weight * f) for label, f in zip(row.labels, factors, strict=True))
    return replace(row, labels=tuple(held))
