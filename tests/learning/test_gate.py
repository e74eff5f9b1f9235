"""The gate: a sound candidate passes, each check can fail alone, and what was not measured is said and not made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from classifiers.training.compared import Comparison
from classifiers.training.evidence import Evidence, InForce, Latency, Paired, Steadiness
from classifiers.training.gate import Verdict, judge
from classifiers.training.measures import Figure
from classifiers.training.slices import Slice

SINGLE = Comparison(
    n=300,
    current={"ece": Figure(0.06, 0.04, 0.08)},
    candidate={"ece": Figure(0.04, 0.03, 0.06)},
    base_rate={},
    difference=Figure(-0.03, -0.05, -0.01),
    knows=Figure(0.3, 0.2, 0.4),
    calibrated=0.04,
    moved=0.1,
)
PAIRS = Paired(
    n=200,
    priced=True,
    worth=Figure(0.004, 0.001, 0.007),
    at_equal_cost=Figure(0.02, 0.005, 0.035),
    today=0.4,
    at_today=Figure(0.02, 0.0, 0.04),
    beside_length=Figure(0.03, 0.01, 0.05),
    beside_chance=Figure(0.05, 0.03, 0.07),
)
FORCE = InForce("own@1", 2000, 120.0, None, Figure(0.01, -0.02, 0.04), Figure(0.0, -0.05, 0.05))
SLICE = Slice("tenant", "acme", 80, "log loss", Figure(-0.02, -0.04, 0.0), 0.9)
SOUND = Evidence(
    SINGLE, PAIRS, (SLICE,), FORCE, Steadiness(120, 0.95, 0.94), Latency(240, 0.1, 0.3, 0.1, 0.3, budget=2.0)
)


def failed(verdict: Verdict) -> list[str]:
    assert verdict.passed == all(check.passed for check in verdict.checks)
    return [check.name for check in verdict.checks if not check.passed]


def test_a_sound_candidate_passes_and_every_check_says_why() -> None:
    verdict = judge(SOUND)
    assert verdict.passed and verdict.reason.startswith("better: quality +0.020")
    assert len({check.name for check in verdict.checks}) == len(verdict.checks) == 9
    assert all(check.why for check in verdict.checks)


UNCLEAR = Figure(0.02, -0.01, 0.05)
ALONE = {
    "enough": replace(SOUND, comparison=replace(SINGLE, n=49)),
    "knows the asks": replace(SOUND, comparison=replace(SINGLE, knows=Figure(0.1, -0.01, 0.2))),
    "better": replace(SOUND, pairs=replace(PAIRS, at_equal_cost=UNCLEAR, worth=Figure(0.001, -0.001, 0.003))),
    "not worse at equal cost": replace(
        SOUND,
        pairs=replace(PAIRS, at_equal_cost=Figure(-0.02, -0.03, -0.01)),
        in_force=replace(FORCE, quality=Figure(0.0, -0.005, 0.005), cost=Figure(-0.1, -0.2, -0.05)),
    ),
    "not worse under the policy in force": replace(SOUND, in_force=replace(FORCE, quality=Figure(-0.05, -0.07, -0.03))),
    "calibration": replace(SOUND, comparison=replace(SINGLE, candidate={"ece": Figure(0.08, 0.06, 0.1)})),
    "no slice worse": replace(SOUND, slices=(SLICE, replace(SLICE, name="beta", worse=True))),
    "robustness": replace(SOUND, steadiness=Steadiness(120, 0.95, 0.91)),
    "latency": replace(SOUND, latency=Latency(240, 0.1, 0.3, 0.5, 2.5, budget=2.0)),
}


@pytest.mark.parametrize("name", ALONE)
def test_each_check_alone_refuses(name: str) -> None:
    verdict = judge(ALONE[name])
    assert failed(verdict) == [name]
    assert not verdict.passed and verdict.reason.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("quality", "cost", "passes"),
    [
        (Figure(0.0, -0.005, 0.01), Figure(-0.1, -0.15, -0.05), True),  # equal quality, lower cost
        (Figure(0.0, -0.015, 0.01), Figure(-0.1, -0.15, -0.05), False),  # perhaps worse
        (Figure(0.0, -0.005, 0.01), Figure(-0.1, -0.25, 0.05), False),  # perhaps dearer
        (Figure(0.02, 0.001, 0.04), Figure(0.0, -0.009, 0.009), True),  # better quality, equal cost
        (Figure(0.02, 0.001, 0.04), Figure(0.01, 0.0, 0.02), False),  # better, and dearer
    ],
)
def test_under_the_policy_in_force_it_takes_quality_or_cost_by_the_intervals(
    quality: Figure, cost: Figure, passes: bool
) -> None:
    unclear = replace(PAIRS, at_equal_cost=UNCLEAR, worth=Figure(0.001, -0.001, 0.003))
    force = replace(FORCE, quality=quality, cost=cost)
    assert ("better" not in failed(judge(replace(SOUND, pairs=unclear, in_force=force)))) == passes


def test_net_value_counts_only_while_quality_at_equal_cost_is_not_below_zero() -> None:
    for middle, passes in ((0.0, True), (-0.001, False)):
        pairs = replace(PAIRS, at_equal_cost=Figure(middle, -0.02, 0.02))
        assert judge(replace(SOUND, pairs=pairs)).passed == passes


def test_with_too_few_pairs_labels_of_single_answers_must_be_better_by_the_whole_interval() -> None:
    for pairs in (None, replace(PAIRS, n=49)):
        assert judge(replace(SOUND, pairs=pairs, in_force=None)).passed
        unclear = replace(SINGLE, difference=Figure(-0.03, -0.07, 0.001))
        assert failed(judge(replace(SOUND, comparison=unclear, pairs=pairs, in_force=None))) == ["better"]


def test_what_was_not_measured_passes_and_says_so() -> None:
    verdict = judge(Evidence(SINGLE, None, ()))
    assert verdict.passed
    told = {check.name: check.why for check in verdict.checks if not check.measured}
    assert told.keys() == {
        "not worse at equal cost",
        "not worse under the policy in force",
        "no slice worse",
        "robustness",
        "latency",
    }
    assert all("not measured" in why or "not estimated" in why for why in told.values())


def test_no_saving_excuses_a_certain_loss_of_quality_under_the_policy() -> None:
    cheaper = replace(FORCE, quality=Figure(-0.05, -0.07, -0.03), cost=Figure(-0.3, -0.4, -0.2))
    assert "not worse under the policy in force" in failed(judge(replace(SOUND, in_force=cheaper)))
    trifle = replace(FORCE, quality=Figure(-0.01, -0.015, -0.005), cost=Figure(-0.3, -0.4, -0.2))
    assert "not worse under the policy in force" not in failed(judge(replace(SOUND, in_force=trifle)))
    assert not judge(ALONE["not worse under the policy in force"]).passed


def test_a_handful_of_labels_may_look_uncalibrated_as_far_as_chance_makes_it() -> None:
    few = replace(SINGLE, candidate={"ece": Figure(0.12, 0.08, 0.2)}, calibrated=0.13)
    assert judge(replace(SOUND, comparison=few)).passed


def test_no_evidence_at_all_is_refused_without_a_fault() -> None:
    nothing = Comparison(0, {}, {}, {}, Figure(None), Figure(None), None, 0.0)
    assert set(failed(judge(Evidence(nothing, None, ())))) == {"enough", "knows the asks", "better"}
