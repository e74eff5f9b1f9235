"""From several labels to one: how much each source counts, and how little one key, or tenant, may move the judge.

The rule, in full:

1. A *verifier* saw whether the answer is right (an exact answer, a test). Where one spoke, nobody else is heard.
2. Else the score is the weighted mean of all labels, each label's weight times what its source counts (`COUNTS`).
3. A request weighs what its labels weigh together, at most one: many thumbs are still one request.
4. What one key causes (its *user* labels, the *implicit* ones of its requests, and those for answers of a form that its
   requests did not ask for: it can have as many of each as it likes) weighs, of any one model, together at most
   `MOST_OF_A_KEY` of what all other labels of that model do; or of `WITNESSES`, where those weigh less. Beyond it each
   of these labels is scaled down alike. So one key that thumbs everything down moves a head no further than labels of
   that share do. Where there is nobody else to go by (one application behind one key: all other labels weigh less than
   `WITNESSES`), its labels count in full: it is its own router that it moves.
5. What all keys of one tenant cause is held by `MOST_OF_A_TENANT` in the same way, where labels of other tenants'
   requests weigh `WITNESSES` or more. Keys of one tenant that conspire are held by this alone.
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
    return held_apart(logged)[0]


def held_apart(logged: Sequence[LoggedDecision]) -> tuple[list[LoggedDecision], list[LoggedDecision]]:
    """(`capped`, the same requests without any label of a key or tenant that was held down there).

    By the second it is decided whether to learn at all, so that nobody who is held down tips the balance either.
    """
    caused: dict[_Cause, float] = defaultdict(float)
    of_model: dict[str, float] = defaultdict(float)
    of_tenant: dict[str, float] = defaultdict(float)
    for row in logged:
        model = row.model.model.lower()
        for label in row.labels:
            weight = COUNTS[label.source] * max(0.0, label.weight)
            of_model[model] += weight
            of_tenant[_asker(row, label)[0]] += weight
            if (cause := _cause(row, label)) is not None:
                caused[cause] += weight
    scale = _scales(caused, of_model, of_tenant)
    if not scale:
        return list(logged), list(logged)
    return [_scaled(row, scale) for row in logged], [_scaled(row, dict.fromkeys(scale, 0.0)) for row in logged]


_Cause = tuple[str, str, str]
"""Tenant and name of a key, and the model that answered."""


def _cause(row: LoggedDecision, label: Label) -> _Cause | None:
    """The key that could have had this label given at will; None for judges, programs that verify, and nobody's."""
    tenant, key = _asker(row, label)
    if label.source == "user":
        key = label.key
    elif label.source != "implicit" and label.key != FORM_KEY:
        return None
    return (tenant, key, row.model.model.lower()) if key else None


def _asker(row: LoggedDecision, label: Label) -> tuple[str, str]:
    """Tenant and key of the request that a label was given for."""
    return label.of or (row.tenant, row.key)


def _scales(
    caused: Mapping[_Cause, float], of_model: Mapping[str, float], of_tenant: Mapping[str, float]
) -> dict[_Cause, float]:
    """What labels of a cause are to be multiplied with, where that is not one. of_model, of_tenant: what all labels of
    a model's answers and a tenant's requests weigh."""
    total = sum(of_tenant.values())
    by_key: dict[tuple[str, str], float] = defaultdict(float)
    raw: dict[tuple[str, str], float] = defaultdict(float)
    for (tenant, key, model), weight in caused.items():
        by_key[tenant, key] += weight
        raw[tenant, model] += weight
    scale: dict[_Cause, float] = {}
    held: dict[tuple[str, str], float] = defaultdict(float)
    for cause, weight in caused.items():
        tenant, key, model = cause
        witnessed = total - by_key[tenant, key] >= WITNESSES
        scale[cause] = _share(weight, MOST_OF_A_KEY, of_model[model] - weight) if witnessed else 1.0
        held[tenant, model] += weight * scale[cause]
    for cause in caused:
        tenant, _, model = cause
        if total - of_tenant[tenant] >= WITNESSES:
            others = of_model[model] - raw[tenant, model]
            scale[cause] *= _share(held[tenant, model], MOST_OF_A_TENANT, others)
    return {cause: factor for cause, factor in scale.items() if factor < 1.0}


def _share(weight: float, most: float, others: float) -> float:
    """How much of a weight may count beside what others weigh."""
    limit = most * max(others, WITNESSES)
    return 1.0 if weight <= limit else limit / weight


def _scaled(row: LoggedDecision, scale: Mapping[_Cause, float]) -> LoggedDecision:
    factors = [1.0 if (cause := _cause(row, label)) is None else scale.get(cause, 1.0) for label in row.labels]
    if all(factor == 1.0 for factor in factors):
        return row
    held = (replace(label, weight=label.weight * f) for label, f in zip(row.labels, factors, strict=True))
    return replace(row, labels=tuple(held))
