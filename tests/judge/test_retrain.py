"""Learning from logs: labels help, noise moves nothing, and rows that cannot be read are left out and counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from classifiers.artefact import Artefact, load_artefact, load_default
from classifiers.contract import AskText, Label, LoggedDecision, ModelCard
from classifiers.learned import LearnedClassifier
from classifiers.training.compared import compare
from classifiers.training.dataset import seed_rows
from classifiers.training.forward import Block, Chain, save_candidate
from classifiers.training.retrain import retrain_from_logs

CURRENT = load_default()
SMALL = ModelCard("local", "acme/tiny-3b", "small")
LARGE = ModelCard("remote", "acme/huge", "large")
ASKS = [row.ask for row in seed_rows()]
VECTORS = np.stack([CURRENT.featurise(ask) for ask in ASKS])
BELIEVED = np.array([1 - LearnedClassifier(CURRENT).assess_features(vector, ()).complexity for vector in VECTORS])


def logged(chosen: np.ndarray, good: np.ndarray, card: ModelCard = SMALL) -> list[LoggedDecision]:
    """Requests that `card` answered, with a verifier's label each."""
    return [
        LoggedDecision(
            request_id=f"r{number:05}",
            at_unix=float(number),
            tenant="t",
            task="chat",
            language="en",
            model=card,
            eligible=("local", "remote"),
            quality={},
            probability=1.0,
            cost_usd=None,
            input_tokens=10,
            output_tokens=10,
            features=VECTORS[index].astype(np.float16).astype(np.float32),
            features_digest=CURRENT.featurise.digest,
            labels=(Label(f"r{number:05}", float(score), "verifier", 1.0, float(number)),),
        )
        for number, (index, score) in enumerate(zip(chosen, good, strict=True))
    ]


def sample(count: int, seed: int, share: np.ndarray) -> list[LoggedDecision]:
    random = np.random.default_rng(seed)
    chosen = random.integers(0, len(VECTORS), count)
    return logged(chosen, random.random(count) < share[chosen])


WORSE_MODEL = np.clip(BELIEVED * 0.45, 0.02, 0.98)
"""A small model that is right less than half as often as the artefact believes."""


@pytest.mark.parametrize("count", [30, 100, 300])
def test_labels_of_ones_own_help_and_never_hurt(count: int) -> None:
    candidate, report = retrain_from_logs(sample(count, count, WORSE_MODEL), CURRENT)
    verdict = compare(CURRENT, candidate, sample(600, 999, WORSE_MODEL))
    assert report.used == count
    assert verdict.not_worse
    if count >= 100:
        assert verdict.better
        assert verdict.candidate["ece"].value < verdict.current["ece"].value  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(4))
def test_labels_that_agree_with_the_artefact_do_not_make_it_worse(seed: int) -> None:
    candidate, _ = retrain_from_logs(sample(150, seed, BELIEVED), CURRENT)
    verdict = compare(CURRENT, candidate, sample(600, 100 + seed, BELIEVED))
    assert verdict.difference.value is not None and verdict.difference.value <= 0.02


def test_few_labels_move_nothing() -> None:
    candidate, report = retrain_from_logs(sample(10, 0, WORSE_MODEL), CURRENT)
    assert candidate.digest == CURRENT.digest
    assert not report.changed


def test_what_two_models_said_to_one_ask_is_never_on_both_sides_of_a_fold() -> None:
    """A coin decides of each ask, and two small models share its fall: other asks say nothing of it but the share."""
    random = np.random.default_rng(3)
    chosen, good = random.permutation(len(VECTORS))[:200], random.random(200) < 0.5
    other = logged(chosen, good, ModelCard("house", "acme/mini-8b", "small"))
    both = [*logged(chosen, good), *(replace(row, request_id=f"x{row.request_id}") for row in other)]
    of_tier = retrain_from_logs(both, CURRENT)[1].heads[0]
    assert of_tier.step == "shifted" and of_tier.loss_after is not None and of_tier.loss_after > 0.68


def test_no_labels_at_all_give_the_current_artefact() -> None:
    candidate, report = retrain_from_logs([], CURRENT)
    assert candidate.digest == CURRENT.digest
    assert compare(CURRENT, candidate, []).n == report.used == 0


def test_the_same_logs_give_the_same_artefact_in_any_order() -> None:
    rows = sample(120, 5, WORSE_MODEL)
    assert retrain_from_logs(rows, CURRENT)[0].digest == retrain_from_logs(rows[::-1], CURRENT)[0].digest


def test_rows_that_cannot_be_read_are_left_out_and_counted() -> None:
    rows = sample(4, 0, WORSE_MODEL)
    odd = [
        replace(rows[0], features=None),
        replace(rows[1], features_digest="other"),
        replace(rows[2], labels=()),
        rows[3],
    ]
    _, report = retrain_from_logs(odd, CURRENT)
    assert (report.without_features, report.foreign, report.without_label, report.used) == (1, 1, 1, 1)


def test_a_worse_small_model_raises_complexity_and_leaves_the_large_heads_alone() -> None:
    candidate, _ = retrain_from_logs(sample(300, 1, WORSE_MODEL), CURRENT)
    ask = AskText("Compare two sorting algorithms and say when each is better.")
    before, after = (LearnedClassifier(artefact).assess(ask, (SMALL, LARGE)) for artefact in (CURRENT, candidate))
    assert after.complexity > before.complexity
    assert after.quality["remote"] == pytest.approx(before.quality["remote"])


def test_a_model_unlike_its_tier_gets_a_head_of_its_own(tmp_path) -> None:
    random = np.random.default_rng(3)
    chosen = random.integers(0, len(VECTORS), 400)
    other = ModelCard("other", "acme/other-7b", "small")
    good_one = logged(chosen, random.random(400) < 0.97, other)
    bad_one = sample(400, 4, np.full(len(VECTORS), 0.25))
    rows = [*good_one, *(replace(row, request_id=f"b{row.request_id}") for row in bad_one)]
    candidate, report = retrain_from_logs(rows, CURRENT)
    assert set(candidate.models) == {"acme/tiny-3b", "acme/other-7b"}
    links = Chain((0.0,), (Block(candidate, tuple(rows), (), ()),), report)
    saved = save_candidate(links, tmp_path / "new", CURRENT)
    assert load_artefact(tmp_path / "new").digest == saved.digest == candidate.digest
    assert saved.manifest["parent"] == CURRENT.digest
    quality = LearnedClassifier(saved).assess(AskText("How do tides work?"), (SMALL, other)).quality
    assert quality["other"] > quality["local"] + 0.2


def test_artefacts_of_different_features_are_not_compared() -> None:
    other: Artefact = replace(CURRENT, featurise=type(CURRENT.featurise)(None))
    assert compare(CURRENT, other, sample(30, 0, BELIEVED)).n == 0
