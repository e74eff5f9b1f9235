"""Evaluation forwards in time: no judge is asked about what it learned from, and figures are what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from classifiers.artefact import Artefact, load_default
from classifiers.contract import Label, LoggedDecision, ModelCard
from classifiers.learned import LearnedClassifier
from classifiers.training.compared import base_rates, compare_said, said_of, singles
from classifiers.training.dataset import seed_rows
from classifiers.training.exchange import Curve, at_equal_cost, worth
from classifiers.training.forward import LEARNED_UNTIL, chain, cuts
from classifiers.training.measures import Figure
from classifiers.training.resampled import holm, one_sided
from classifiers.training.retrain import RetrainReport
from classifiers.training.rows import Half, Pair, as_arrays, join_repeats, key_of
from classifiers.training.served import SMALL as GENERIC
from classifiers.training.served import qualities
from classifiers.training.slices import Slice, corrected
from classifiers.training.slices import of_labels as slices_of_labels
from classifiers.training.steadiness import latency, steadiness

CURRENT = load_default()
SMALL, LARGE = ModelCard("small", "own/small", "small"), ModelCard("large", "own/large", "large")
VECTORS = CURRENT.featurise.many([row.ask for row in seed_rows()[:400]]).astype(np.float16).astype(np.float32)
NOTHING = RetrainReport(0, 0, 0, 0, ())


def row(
    number: int, at: float, *, vector: int | None = None, score: float = 1.0, card: ModelCard = SMALL, **other: str
):
    name = f"r{number:04}{card.name}"
    label = Label(name, score, "verifier", 1.0, at)
    features = VECTORS[number if vector is None else vector]
    digest = CURRENT.featurise.digest
    given = {"tenant": "acme", "task": "chat", "language": "en", **other}
    return LoggedDecision(
        name, at, model=card, eligible=(), quality={}, probability=1.0, cost_usd=None, input_tokens=1, output_tokens=1,
        features=features, features_digest=digest, labels=(label,), **given,
    )  # fmt: skip


def pair(number: int, at: float, small: float, large: float, *, own: str = "small") -> Pair:
    halves = Half(SMALL, small, 0.001), Half(LARGE, large, 0.01)
    first, second = halves if own == "small" else halves[::-1]
    return Pair(f"r{number:04}", at, "acme", "chat", "en", VECTORS[number], first, second, 10)


def test_no_judge_is_asked_about_an_ask_that_it_learned_from() -> None:
    random = np.random.default_rng(0)
    rows = [row(number, float(number), vector=int(random.integers(0, 120))) for number in range(300)]
    pairs = [pair(int(random.integers(0, 120)), number + 0.5, 1.0, 1.0) for number in range(0, 300, 3)]
    learned: list[set[bytes]] = []

    def fit(older: Sequence[LoggedDecision]) -> tuple[Artefact, RetrainReport]:
        learned.append({key_of(one.features) for one in older if one.features is not None})
        return CURRENT, NOTHING

    links = chain(join_repeats(rows, pairs), CURRENT, fit)
    assert len(links.blocks) == 3 and links.held_out > 30
    for known, block in zip(learned, links.blocks, strict=True):
        judged = {key_of(one.features) for one in (*block.logged, *block.pairs) if one.features is not None}
        assert known and judged and not known & judged
        assert all(old.at_unix < new.at_unix for old in block.learned for new in block.logged)
    assert [len(block.learned) for block in links.blocks] == sorted(len(block.learned) for block in links.blocks)


def test_what_the_current_judge_learned_from_is_judged_by_nobody() -> None:
    rows = [row(number, float(number)) for number in range(100)]
    taught = replace(CURRENT, manifest={LEARNED_UNTIL: 70.0})
    links = chain(join_repeats(rows), taught, lambda older: (CURRENT, NOTHING))
    assert links.begins == (70.0, 80.0)
    assert min(one.at_unix for block in links.blocks for one in block.logged) == 70.0


@pytest.mark.parametrize(
    ("learned_until", "begins"), [(None, [40, 60, 80]), (10.0, [40, 60, 80]), (50.0, [50, 60, 80]), (95.0, [95])]
)
def test_cuts_stand_at_40_60_and_80_per_cent_or_where_the_current_judge_stopped_learning(
    learned_until: float | None, begins: list[float]
) -> None:
    assert cuts([float(number) for number in range(100)], learned_until) == begins


def test_repeats_of_an_ask_by_one_model_become_one_row_with_all_labels() -> None:
    rows = [row(1, 1.0, score=1.0), row(2, 2.0, vector=1, score=0.0), row(3, 3.0, vector=1, card=LARGE), row(4, 4.0)]
    data = join_repeats(rows)
    assert (len(data.logged), data.repeats) == (3, 1)
    joined = data.logged[0]
    assert sorted(label.score for label in joined.labels) == [0.0, 1.0]
    assert [one.at_unix for one in data.logged] == [1.0, 1.0, 4.0]  # all of an ask where it was first seen
    assert singles(data.logged, CURRENT.featurise.digest, CURRENT.featurise.size).scores[0] == 0.5


def test_many_vectors_are_judged_as_one_is_when_it_serves() -> None:
    bent = replace(
        CURRENT,
        models=("own/small",),
        tiers=("small",),
        heads=np.vstack([CURRENT.heads, CURRENT.heads[:1] + np.float32(0.01)]),
    )
    cards = (SMALL, LARGE, GENERIC)
    judge = LearnedClassifier(bent)
    served = [judge.assess_features(vector, cards) for vector in VECTORS]
    found = qualities(bent, VECTORS, cards)
    assert found == pytest.approx(np.array([[one.quality[card.name] for card in cards] for one in served]), abs=2e-3)
    assert 1.0 - found[:, 2] == pytest.approx([one.complexity for one in served], abs=2e-3)


def test_the_dear_model_of_a_pair_is_the_one_that_costs_more_whoever_answered() -> None:
    pairs = as_arrays([pair(1, 1.0, 0.2, 0.9), pair(2, 2.0, 1.0, 0.5, own="large")])
    assert pairs.gained.tolist() == pytest.approx([0.7, -0.5])
    assert pairs.own_dear.tolist() == [False, True]
    assert pairs.extra.tolist() == pytest.approx([0.009, 0.009]) and pairs.priced


def test_a_feature_that_is_no_number_spoils_no_other_pair() -> None:
    pairs = [pair(number, float(number), 0.0, 1.0) for number in range(3)]
    vector = VECTORS[1].copy()
    vector[7] = np.nan
    found = as_arrays([pairs[0], replace(pairs[1], features=vector), pairs[2]])
    assert np.isfinite(found.gains(qualities(CURRENT, found.features, found.cards))).all()


def test_pairs_without_prices_count_requests_instead() -> None:
    bare = [
        replace(one, own=replace(one.own, cost_usd=None)) for one in (pair(1, 1.0, 0.0, 1.0), pair(2, 2.0, 1.0, 1.0))
    ]
    pairs = as_arrays(bare)
    assert not pairs.priced and pairs.extra.tolist() == [1.0, 1.0] and pairs.gained.tolist() == [1.0, 0.0]


def test_a_constant_judge_is_worth_what_chance_is_and_a_perfect_one_more() -> None:
    random = np.random.default_rng(1)
    gained, extra = random.choice([-1.0, 0.0, 1.0], 400, p=[0.1, 0.6, 0.3]), random.uniform(0.5, 1.5, 400)
    one = np.ones((1, 400))
    chance = Curve(np.zeros(400), gained, extra).area(one)[0]
    assert chance == pytest.approx(gained.mean() / 2)
    assert Curve(gained, gained, extra).area(one)[0] > chance > Curve(-gained, gained, extra).area(one)[0]
    found = at_equal_cost(np.zeros(400), gained, gained, extra, seed=0)
    assert found.low is not None and found.low > 0.0


def test_net_value_is_the_regret_of_deciding_at_every_price() -> None:
    random = np.random.default_rng(2)
    gained, current, candidate = (random.uniform(-1, 1, 30) for _ in range(3))
    prices = np.linspace(-1, 1, 20_001)[:, None]

    def regret(gains: np.ndarray) -> float:
        lost = (gained - prices) * ((gained > prices).astype(float) - (gains > prices))
        return float(lost.mean(axis=0).sum() * 2.0 / 30)

    assert worth(current, candidate, gained, 0).value == pytest.approx(regret(current) - regret(candidate), abs=1e-3)


def test_a_rank_correlation_within_models_does_not_see_that_one_is_better() -> None:
    random = np.random.default_rng(3)
    rows = [
        row(number, float(number), score=float(random.random() < rate), card=card)
        for number in range(400)
        for card, rate in ((SMALL, 0.2), (LARGE, 0.9))
    ]
    given = singles(rows, CURRENT.featurise.digest, CURRENT.featurise.size)
    said = said_of(CURRENT, given)
    rates = base_rates(given.rows, given)
    found = compare_said(given, said, replace(said, shares=rates), rates, 0)
    assert (found.candidate["auc"].value or 0.0) > 0.8  # over both models together
    assert found.knows.value == pytest.approx(0.0, abs=1e-6)


def test_a_tenant_that_is_worse_off_shows_though_all_together_gain() -> None:
    rows = [
        row(number, float(number), score=float(tenant == "beta"), tenant=tenant)
        for number, tenant in enumerate(["acme"] * 300 + ["beta"] * 80)
    ]
    given = singles(rows, CURRENT.featurise.digest, CURRENT.featurise.size)
    said = said_of(CURRENT, given)
    gloomier = replace(said, shares=said.shares * 0.5)
    found = corrected(slices_of_labels(given, said, gloomier, 0))
    assert [(one.by, one.name) for one in found if one.worse] == [("tenant", "beta")]


def test_looking_at_many_slices_is_paid_for() -> None:
    assert holm([0.01, 0.04, 0.5]) == pytest.approx([0.03, 0.08, 0.5])
    random = np.random.default_rng(4)
    refused = 0
    for _ in range(200):
        chances = [one_sided(random.normal(size=60), np.ones(60), np.arange(60)) for _ in range(20)]
        template = Slice("tenant", "x", 60, "log loss", Figure(0.0), 0.0)
        refused += any(one.worse for one in corrected([replace(template, chance=chance) for chance in chances]))
    assert refused <= 20  # 5 per cent are meant, of 200


def test_judges_that_are_alike_are_as_steady_and_as_quick() -> None:
    judge = LearnedClassifier(CURRENT)
    found = steadiness(judge, judge)
    assert found.candidate == pytest.approx(found.current, abs=0.01) and found.current > 0.8
    timed = latency(judge, judge)
    assert 0.0 < timed.candidate_p50 <= timed.candidate_p99 and timed.candidate_p50 < 3.0 * timed.current_p50
