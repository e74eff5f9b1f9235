"""The tiers behind one contract: each is loaded as what it is, and what is missing or wrong is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from classifiers.artefact import DEFAULT_FOLDER, MANIFEST, load_artefact, save_artefact
from classifiers.contract import AskText
from classifiers.embedded import EmbeddedFeatures, Projection
from classifiers.encoder import multiplies_bfloat16
from classifiers.errors import ArtefactError, ClassifierError
from classifiers.features import HAND, FeatureFunction
from classifiers.learned import LearnedClassifier
from classifiers.tiers import SHIPPED, TIERS, load_classifier, load_tier, weights_of
from classifiers.training.distill import WEIGHTS_SHA256
from tests.judge.asks import CARDS
from tests.judge.encoders import SIZE, WEIGHTS, Letters, encoder_artefact


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_keeps_the_contract_and_names_itself(tier: str, tmp_path: Path) -> None:
    folder = None
    if tier == "encoder":
        save_artefact(encoder_artefact(), folder := tmp_path, {}, {})
    classifier = load_classifier(tier, folder, embedder=Letters())
    judged = classifier.assess(AskText("hello"), CARDS)
    assert judged.classifier == classifier.name and classifier.name.startswith(f"{tier}@")
    assert judged.features_digest == classifier.features_digest
    assert set(judged.quality) == {"local", "remote"}


def test_an_artefact_of_the_encoder_survives_a_round_trip(tmp_path: Path) -> None:
    made = encoder_artefact(embedder=Letters())
    save_artefact(made, tmp_path, {}, {})
    read = load_classifier("encoder", tmp_path, embedder=Letters())
    ask = AskText("What is the tallest tree?")
    assert read.assess(ask, CARDS).quality == LearnedClassifier(made).assess(ask, CARDS).quality
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert (manifest["tier"], manifest["encoder"]) == ("encoder", {"weights_sha256": WEIGHTS})


@pytest.mark.parametrize("wrong", ["no weights named", "called fast", "no projection"])
def test_a_manifest_that_is_wrong_about_its_encoder_is_refused(tmp_path: Path, wrong: str) -> None:
    save_artefact(encoder_artefact(), tmp_path, {}, {})
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    if wrong == "no weights named":
        del manifest["encoder"]
    elif wrong == "called fast":
        manifest["tier"] = "fast"
    else:
        del manifest["files"]["projection_axes.npy"]
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtefactError):
        load_artefact(tmp_path)


def test_an_artefact_of_one_tier_is_not_loaded_as_another(tmp_path: Path) -> None:
    save_artefact(encoder_artefact(), tmp_path, {}, {})
    with pytest.raises(ArtefactError, match="is of the tier encoder, and fast was asked for"):
        load_classifier("fast", tmp_path)
    with pytest.raises(ArtefactError, match="is of the tier fast, and encoder was asked for"):
        load_classifier("encoder", DEFAULT_FOLDER)
    with pytest.raises(ClassifierError, match="none of fast, encoder"):
        load_tier("deep")


def test_the_shipped_encoder_artefact_is_small_and_judges_logged_vectors_without_its_encoder() -> None:
    artefact = load_tier("encoder")
    assert weights_of(artefact) == WEIGHTS_SHA256
    assert artefact.featurise.size <= 512
    assert sum(path.stat().st_size for path in SHIPPED["encoder"].iterdir()) < 3_000_000
    judged = LearnedClassifier(artefact).assess_features(artefact.support_mean, CARDS)
    assert 0.0 <= judged.complexity <= 1.0 and judged.classifier == f"encoder@{artefact.digest}"


def test_without_the_libraries_it_is_said_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['sentence_transformers'] = None\n"
        "from classifiers.encoder import load_encoder\n"
        "from classifiers.errors import EncoderError\n"
        "try:\n"
        "    load_encoder()\n"
        "except EncoderError as error:\n"
        "    print(error.reason, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("missing ") and "pip install torch==2.13.0 'signalbox[encoder]'" in done.stdout


def test_the_columns_of_an_embedding_are_uncorrelated_and_about_one_spread_wide() -> None:
    source = np.random.default_rng(0)
    embeddings = (source.normal(size=(500, SIZE)) @ source.normal(size=(SIZE, SIZE))).astype(np.float32)
    columns = Projection.fitted(embeddings, WEIGHTS, 5).apply(embeddings)
    assert columns.shape == (500, 5)
    assert np.allclose(np.cov(columns.T), np.eye(5), atol=0.02)


def test_the_hand_made_columns_are_those_of_the_fast_judge() -> None:
    ask = AskText("Prove it.", ("Is there a largest prime?",))
    embedded = encoder_artefact(embedder=Letters()).featurise
    assert isinstance(embedded, EmbeddedFeatures)
    assert np.array_equal(embedded(ask)[:HAND], FeatureFunction(None)(ask)[:HAND])


def test_bfloat16_is_used_only_where_the_cpu_has_it(tmp_path: Path) -> None:
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("flags : fpu sse avx512f avx512_bf16\n")
    assert multiplies_bfloat16(cpu)
    cpu.write_text("flags : fpu sse avx2\n")
    assert not multiplies_bfloat16(cpu)
    assert not multiplies_bfloat16(tmp_path / "nowhere")
