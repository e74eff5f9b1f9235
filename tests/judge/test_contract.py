"""What every classifier promises, checked on every classifier."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from classifiers.contract import AskText, Classifier, ModelCard
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier
from classifiers.tasks import TASKS
from tests.judge.asks import CARDS, asks


@pytest.fixture(scope="module", params=[HeuristicClassifier, LearnedClassifier.load], ids=["heuristic", "learned"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return request.param()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ask=asks)
def test_any_text_gets_finite_shares_in_range(classifier: Classifier, ask: AskText) -> None:
    judged = classifier.assess(ask, CARDS)
    for share in (judged.complexity, judged.support, *judged.quality.values()):
        assert 0.0 <= share <= 1.0
    assert -1.0 <= judged.gain <= 1.0
    assert set(judged.quality) == {"local", "remote"}
    assert judged.task in TASKS
    assert judged.classifier == classifier.name
    if judged.features is not None:
        assert judged.features.dtype == np.float32
        assert judged.features.ndim == 1 and len(judged.features) <= 512
        assert np.isfinite(judged.features).all()


def test_the_same_ask_gets_the_same_answer(classifier: Classifier) -> None:
    ask = AskText("Compare two ways to cache a query.", ("hello",))
    first, second = classifier.assess(ask, CARDS), classifier.assess(ask, CARDS)
    assert (first.complexity, first.quality, first.support) == (second.complexity, second.quality, second.support)


def test_the_name_is_a_tier_and_a_digest(classifier: Classifier) -> None:
    tier, digest = classifier.name.split("@")
    assert tier and digest


def test_features_and_their_digest_come_together(classifier: Classifier) -> None:
    judged = classifier.assess(AskText("hello"), ())
    assert (judged.features is None) == (classifier.features_digest is None)
    assert judged.quality == {}


def test_a_megabyte_is_judged_by_its_head_and_tail(classifier: Classifier) -> None:
    light, hard = "The cat sat on the mat and looked at the rain. ", "Prove the lemma, and derive its spectral bound. "
    judged, buried = (
        classifier.assess(AskText(f"Fix the typos in this text:\n\n{light * 200}{middle}{light * 200}"), CARDS)
        for middle in (light * 22_000, hard * 22_000)
    )
    assert judged.complexity == pytest.approx(buried.complexity, abs=1e-3)
    assert judged.complexity < 0.5


@pytest.mark.parametrize("text", ["hello", "thanks a lot", "ok", "merci beaucoup", "谢谢", "translate apple to Dutch"])
def test_everyday_asks_are_left_to_the_small_model(classifier: Classifier, text: str) -> None:
    assert classifier.assess(AskText(text), CARDS).complexity < 0.35


@pytest.mark.parametrize(
    "text",
    [
        "Prove that a locally compact group has a Haar measure.",
        "Derive the Kalman filter rigorously and prove its optimality under Gaussian noise.",
        "Design a consensus protocol for Byzantine faults, prove safety and analyse its failure modes.",
        "证明每个有限生成阿贝尔群都是循环群的直和，并推导其矩阵形式。",
    ],
)
def test_short_expert_asks_are_not_taken_for_easy_ones(classifier: Classifier, text: str) -> None:
    assert classifier.assess(AskText(text), CARDS).complexity >= 0.35


def test_a_harder_ask_promises_less_of_the_small_model(classifier: Classifier) -> None:
    easy = classifier.assess(AskText("What is the capital of Kenya?"), CARDS)
    hard = classifier.assess(AskText("Prove the spectral theorem for compact operators on a Hilbert space."), CARDS)
    assert hard.quality["local"] < easy.quality["local"]
    assert hard.gain > easy.gain


def test_models_of_a_tier_are_judged_alike_until_they_have_heads_of_their_own(classifier: Classifier) -> None:
    cards = (*CARDS, ModelCard("other", "someone/else-7b", "small"))
    quality = classifier.assess(AskText("How do tides work?"), cards).quality
    assert quality["other"] == quality["local"]


def test_judging_loads_neither_scikit_learn_nor_scipy_nor_torch() -> None:
    program = (
        "import sys\n"
        "from classifiers.contract import AskText\n"
        "from classifiers.heuristic import HeuristicClassifier\n"
        "from classifiers.learned import LearnedClassifier\n"
        "HeuristicClassifier().assess(AskText('hi'), ())\n"
        "LearnedClassifier.load().assess(AskText('hi'), ())\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'torch', 'sentence_transformers', 'router'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
