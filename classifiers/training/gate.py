"""Whether a candidate may take over: evidence in, a verdict out, with every check by name and figure. Pure.

Every check must hold. What is wanted of the evidence, and why in this way, is told in docs/learning.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from classifiers.training.evidence import Evidence, InForce, Paired
from classifiers.training.measures import Figure

LEAST_LABELS: Final = 50
LEAST_PAIRS: Final = 50
"""Held out; with fewer pairs labels of single answers decide, by a stricter rule."""
ECE_BOUND: Final = 0.05
QUALITY_MARGIN: Final = 0.01
"""Quality that may be lost, by the interval's lower end, where the bill falls by its whole interval."""
COST_MARGIN: Final = 0.01
"""Share by which the bill may grow, by the interval's upper end, where quality rises by its whole interval."""
WORSE_MARGIN: Final = 0.02
"""Quality that may be lost for certain under the policy in force, whatever is saved by it."""
STEADY_MARGIN: Final = 0.03
SLOWER: Final = 1.5
"""Times the current judge's median, below which a p99 beyond the budget is the machine's and not the candidate's."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition. value, low, high: the figure; bound: what it is held against. measured: False where it could not
    be; such a check passes, and says so in `why`."""

    name: str
    passed: bool
    why: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    measured: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed if every check did. reason: one sentence."""

    passed: bool
    reason: str
    checks: tuple[Check, ...]


def judge(evidence: Evidence) -> Verdict:
    """All checks, in the order in which people ask them."""
    checks = tuple(_checks(evidence))
    failed = [check for check in checks if not check.passed]
    if failed:
        return Verdict(False, "; ".join(f"{check.name}: {check.why}" for check in failed), checks)
    [better] = [check for check in checks if check.name == "better"]
    return Verdict(True, f"better: {better.why}", checks)


def _checks(evidence: Evidence) -> Iterator[Check]:
    yield _enough(evidence)
    yield _knows(evidence)
    yield _better(evidence)
    yield _not_worse(evidence)
    yield _in_force(evidence.in_force)
    yield _calibrated(evidence)
    yield _slices(evidence)
    yield _steady(evidence)
    yield _quick(evidence)


def _by_pairs(evidence: Evidence) -> Paired | None:
    pairs = evidence.pairs
    return pairs if pairs is not None and pairs.n >= LEAST_PAIRS else None


def _enough(evidence: Evidence) -> Check:
    count, pairs = evidence.comparison.n, 0 if evidence.pairs is None else evidence.pairs.n
    passed = count >= LEAST_LABELS
    why = f"{count} held-out labels, {pairs} pairs"
    why += "" if passed else f"; {LEAST_LABELS} labels are needed to say anything"
    return Check("enough", passed, why, value=count, bound=LEAST_LABELS)


def _knows(evidence: Evidence) -> Check:
    """One that is nearer to the labels may have learned base rates alone, and a judge of base rates routes nothing."""
    figure = evidence.comparison.knows
    passed = _low(figure) > 0.0
    why = f"what it says and what came go together with a rank correlation of {_signed(figure)} within each model"
    why += "" if passed else "; labels that hang on nothing in the asks teach no routing"
    return _check("knows the asks", passed, why, figure, 0.0)


def _better(evidence: Evidence) -> Check:
    pairs, single = _by_pairs(evidence), evidence.comparison
    if pairs is None:
        figure = single.difference
        why = f"log loss {_signed(figure)} on {single.n} labels of single answers"
        why += f", for want of {LEAST_PAIRS} pairs" + ("" if single.better else "; not lower by the whole interval")
        return _check("better", single.better, why, figure, 0.0)
    equal, worth, force = pairs.at_equal_cost, pairs.worth, evidence.in_force
    if _low(equal) > 0.0:
        why = f"quality {_signed(equal)} at equal cost, on {pairs.n} pairs"
        return _check("better", True, why, equal, 0.0)
    if force is not None and (gain := _gain_in_force(force)) is not None:
        return _check("better", True, gain, force.quality or Figure(None), 0.0)
    if _low(worth) > 0.0 and _value(equal) >= 0.0:
        why = f"net value {_signed(worth, 4)} over all prices, quality at equal cost {_signed(equal)}, {pairs.n} pairs"
        return _check("better", True, why, worth, 0.0)
    why = f"neither quality at equal cost ({_signed(equal)}) nor net value over all prices ({_signed(worth, 4)}) nor"
    return _check("better", False, f"{why} what the policy in force makes of it is better by its interval", equal, 0.0)


def _gain_in_force(force: InForce) -> str | None:
    quality, cost = force.quality, force.cost
    if quality is None or cost is None:
        return None
    told = f"under {force.policy} quality {_signed(quality)}, cost {_percent(cost)} (estimated)"
    if _low(quality) >= -QUALITY_MARGIN and _high(cost) < 0.0:
        return f"equal quality at lower cost: {told}"
    if _low(quality) > 0.0 and _high(cost) <= COST_MARGIN:
        return f"better quality at equal cost: {told}"
    return None


def _not_worse(evidence: Evidence) -> Check:
    pairs, name = evidence.pairs, "not worse at equal cost"
    if pairs is None:
        return Check(name, True, "no request was answered by two models: not measured", measured=False)
    figure = pairs.at_equal_cost
    passed = _high(figure) >= 0.0
    return _check(name, passed, f"quality {_signed(figure)} on {pairs.n} pairs", figure, 0.0)


def _in_force(force: InForce | None) -> Check:
    name = "not worse under the policy in force"
    if force is None:
        return Check(name, True, "no policy was given: not estimated", measured=False)
    quality = force.quality
    if quality is None:
        return Check(name, True, f"not estimated: {force.refusal or 'unknown'}", measured=False)
    passed = _high(quality) >= 0.0 or _low(quality) >= -WORSE_MARGIN
    cost = "unknown" if force.cost is None else _percent(force.cost)
    why = f"quality {_signed(quality)}, cost {cost} under {force.policy} (estimated)"
    return _check(name, passed, why, quality, -WORSE_MARGIN)


def _calibrated(evidence: Evidence) -> Check:
    single, name = evidence.comparison, "calibration"
    if not single.n:
        return Check(name, True, "no held-out label: not measured", measured=False)
    now, then = _value(single.current["ece"]), _value(single.candidate["ece"])
    bound = max(ECE_BOUND, now, single.calibrated or 0.0)
    why = f"calibration error {then:.3f}, the current judge's {now:.3f}; at most {bound:.3f} is in bound"
    return _check(name, then <= bound, why, single.candidate["ece"], bound)


def _slices(evidence: Evidence) -> Check:
    worse = [one for one in evidence.slices if one.worse]
    name = "no slice worse"
    if not evidence.slices:
        return Check(name, True, "no task, language or tenant has enough labels: not measured", measured=False)
    if not worse:
        return Check(name, True, f"none of {len(evidence.slices)} is significantly worse", value=0.0, bound=0.0)
    told = ", ".join(f"{one.by} {one.name} ({one.what} {_signed(one.difference)}, {one.n})" for one in worse[:3])
    return Check(name, False, f"{len(worse)} significantly worse: {told}", value=float(len(worse)), bound=0.0)


def _steady(evidence: Evidence) -> Check:
    found, name = evidence.steadiness, "robustness"
    if found is None:
        return Check(name, True, "not measured", measured=False)
    bound = found.current - STEADY_MARGIN
    why = f"{found.candidate:.1%} of decisions stay when the wording changes, the current judge's {found.current:.1%}"
    return Check(name, found.candidate >= bound, why, value=found.candidate, bound=bound)


def _quick(evidence: Evidence) -> Check:
    found, name = evidence.latency, "latency"
    if found is None:
        return Check(name, True, "not measured", measured=False)
    passed = found.candidate_p99 <= found.budget or found.candidate_p50 <= SLOWER * found.current_p50
    why = f"p50 {found.candidate_p50:.3f} ms, p99 {found.candidate_p99:.3f} ms of CPU; budget {found.budget:g} ms"
    return Check(name, passed, why, value=found.candidate_p99, bound=found.budget)


def _check(name: str, passed: bool, why: str, figure: Figure, bound: float) -> Check:
    return Check(name, passed, why, figure.value, figure.low, figure.high, bound)


def _value(figure: Figure) -> float:
    return float("nan") if figure.value is None else figure.value


def _low(figure: Figure) -> float:
    return float("-inf") if figure.low is None else figure.low


def _high(figure: Figure) -> float:
    return float("inf") if figure.high is None else figure.high


def _signed(figure: Figure, digits: int = 3) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "unknown"
    return f"{figure.value:+.{digits}f} [{figure.low:+.{digits}f}, {figure.high:+.{digits}f}]"


def _percent(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "unknown"
    return f"{figure.value:+.1%} [{figure.low:+.1%}, {figure.high:+.1%}]"
