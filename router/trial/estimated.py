"""Two sides on the same logs: what their choices would have been worth and have cost, or that the logs cannot say.

Kept are requests whose other answers a draw alone decided about: answered at the first try by the one model that was
decided on, not private, without tools or images, no housekeeping. Audits leave the others out, so nothing is known of
what another model would have made of them. What either side would do by a plan of several calls is left out too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from classifiers.training.enough import OUT_OF_SIGHT, Support, out_of_sight, support
from classifiers.training.measures import Floats
from classifiers.training.off_policy import Estimates, Logs, difference, see, value
from router.domain import Outcome
from router.ledger.answers import Answers
from router.trial.sides import Side


@dataclass(frozen=True, slots=True)
class Told:
    """One quantity under both choices, and what the candidate's is more."""

    candidate: Estimates
    current: Estimates
    difference: Estimates


@dataclass(frozen=True, slots=True)
class Estimated:
    """requests: compared. left_out: how many for which reason. audited: with scores of more than one model.
    before_audits: share of the requests that came before the first audited one; audits are a sample of the others only.

    quality: None where `support` says that there is not enough. cost_usd: dollars a request; None too where costs of
    one of the choices were never seen.
    """

    requests: int
    left_out: dict[str, int]
    audited: int
    support: Support | None
    quality: Told | None
    cost_usd: Told | None
    before_audits: float = 0.0

    @property
    def refusal(self) -> str | None:
        """Why nothing is told."""
        if self.support is None:
            return "not enough support: no request to compare on"
        if self.support.enough:
            return None
        return f"not enough support: {self.support.more} more audited requests ({self.support.why})"

    def document(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {**asdict(self), "refusal": self.refusal}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Requests as arrays; see `classifiers.training.off_policy`."""

    scores: Floats
    costs: Floats
    rest: Logs
    candidate: Floats
    current: Floats

    def part(self, kept: np.ndarray[Any, np.dtype[np.bool_]]) -> _Rows:
        rest = self.rest
        logs = Logs(
            rest.outcomes[kept], rest.chosen[kept], rest.probability[kept], rest.eligible[kept], rest.covariates[kept]
        )
        return _Rows(self.scores[kept], self.costs[kept], logs, self.candidate[kept], self.current[kept])

    def logs(self, outcomes: Floats) -> Logs:
        rest = self.rest
        return Logs(outcomes, rest.chosen, rest.probability, rest.eligible, rest.covariates)


def estimate(found: Sequence[Answers], candidate: Side, current: Side, *, half_width: float) -> Estimated:
    """half_width: of the interval of the difference in quality, above which nothing is told."""
    left_out: Counter[str] = Counter()
    kept: list[tuple[Answers, str, str]] = []
    for one in found:
        why, ours, theirs = _unfit(one.row), candidate.choose(one.row), current.choose(one.row)
        why = why or ours.left_out or theirs.left_out
        if why is None and ours.model is not None and theirs.model is not None:
            kept.append((one, ours.model, theirs.model))
        else:
            left_out[why or "unknown"] += 1
    audited = sum(len(one.scores) > 1 for one, _, _ in kept)
    if not kept:
        return Estimated(0, dict(left_out), audited, None, None, None)
    rows = _arrays(kept)
    first = next((at for at, (one, _, _) in enumerate(kept) if len(one.scores) > 1), 0)
    early = first / len(kept)
    quality = see(rows.logs(rows.scores))
    hidden = out_of_sight(quality, rows.candidate, rows.current) > 0.0
    if 0.0 < hidden.mean() <= OUT_OF_SIGHT:
        left_out["on which a choice is never seen"] += int(hidden.sum())
        rows = rows.part(~hidden)
        quality = see(rows.logs(rows.scores))
    gap = difference(quality, rows.candidate, rows.current)
    enough = support(quality, rows.candidate, rows.current, gap, half_width=half_width)
    if not enough.enough:
        return Estimated(len(quality), dict(left_out), audited, enough, None, None, early)
    told = Told(
        value(quality, rows.candidate, (0.0, 1.0)),
        value(quality, rows.current, (0.0, 1.0)),
        gap,
    )
    return Estimated(len(quality), dict(left_out), audited, enough, told, _cost(rows), early)


def _cost(rows: _Rows) -> Told | None:
    seen = see(rows.logs(rows.costs))
    if out_of_sight(seen, rows.candidate, rows.current).any():
        return None
    return Told(value(seen, rows.candidate), value(seen, rows.current), difference(seen, rows.candidate, rows.current))


def _unfit(row: Outcome) -> str | None:
    """Why nothing can be learned from a request of what another model would have made of it."""
    if row.outcome != "ok":
        return "not answered"
    if row.plan not in ("single", ""):
        return f"logged: a plan of several calls ({row.plan})"
    if row.model is None or row.model != row.decided_model or row.eligible.get(row.model) is not True:
        return "answered by a fallback"
    if not row.probability:
        return "without the chance of the choice"
    ask = row.ask
    for name in ("private", "tools", "images", "housekeeping"):
        if ask.get(name):
            return f"never audited: {name}"
    return None


def _arrays(kept: Sequence[tuple[Answers, str, str]]) -> _Rows:
    models = sorted(
        {name for one, *chosen in kept for name in (one.row.model, *chosen, *one.scores, *one.costs_usd) if name}
    )
    place = {model: at for at, model in enumerate(models)}
    n, k = len(kept), len(models)
    scores, costs = np.full((n, k), np.nan), np.full((n, k), np.nan)
    probability, candidate, current = np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k))
    eligible, chosen = np.zeros((n, k), bool), np.zeros(n, np.intp)
    covariates = np.zeros((n, 3 + k))
    for at, (one, ours, theirs) in enumerate(kept):
        row = one.row
        assert row.model is not None
        eligible[at] = [row.eligible.get(model) is True for model in models]
        chosen[at] = mine = place[row.model]
        for model, score in one.scores.items():
            scores[at, place[model]] = score
        for model, cost in one.costs_usd.items():
            costs[at, place[model]] = cost
        others = eligible[at].copy()
        others[mine] = False
        # Who else might have been drawn is not kept: exact for two models, and for one drawn with chance 1.
        probability[at, others] = (1.0 - row.probability) / max(int(others.sum()), 1) if row.probability else 0.0
        probability[at, mine] = row.probability or 0.0
        candidate[at, place[ours]] = current[at, place[theirs]] = 1.0
        covariates[at] = [
            row.complexity or 0.0,
            np.log1p(float(row.ask.get("input_tokens", row.usage.input))),
            row.gain or 0.0,
            *(row.quality.get(model, 0.5) for model in models),
        ]
    logs = Logs(scores, chosen, probability, eligible, np.nan_to_num(covariates))
    return _Rows(scores, costs, logs, candidate, current)
