"""The encoder with the real library: a tiny model made here, then the real weights with the artefact that ships.

Not collected by its name, since the base environment has neither: `make encoder-test` names this file.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from classifiers import encoder as encoders
from classifiers.artefact import load_artefact
from classifiers.contract import AskText
from classifiers.embedded import HEAD_TOKENS, TAIL_TOKENS
from classifiers.encoder import WEIGHTS_FILE, SentenceEncoder, find_model, load_encoder
from classifiers.errors import EncoderError
from classifiers.learned import LearnedClassifier
from classifiers.matching import Matcher, texts_to_embed
from classifiers.tiers import embedder_of, load_classifier, load_tier, weights_of
from classifiers.training.distill import WEIGHTS_SHA256
from router import Router, cli
from router.settings import Settings
from router.upstream.standin import StandIn
from tests.judge.asks import CARDS
from tests.running import POLICY, running
from tests.selection.conftest import policy_text
from tests.selection.desk import ASKS, FOREIGN, OPTIONS, shipped_vectors

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789+.?,"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer that reads letters, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    bare = folder / "bare"
    bare.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    (bare / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=256, **shape)).save_pretrained(bare)
    BertTokenizerFast(str(bare / "vocab.txt")).save_pretrained(bare)
    reads = Transformer(str(bare))
    SentenceTransformer(modules=[reads, Pooling(32), Normalize()], device="cpu").save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def tiny_encoder(tiny: Path) -> SentenceEncoder:
    return load_encoder(str(tiny), threads=1)


def test_vectors_are_the_librarys_own(tiny: Path, tiny_encoder: SentenceEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["hello there", "what is 2 + 2?", "a"]
    theirs = SentenceTransformer(str(tiny), device="cpu").encode(texts, show_progress_bar=False)
    ours = tiny_encoder.embed(texts)
    assert ours.dtype == np.float32
    assert np.allclose(np.linalg.norm(ours, axis=1), 1.0, atol=1e-5)
    assert ((ours * theirs).sum(axis=1) > 0.999).all(), "bfloat16 may cost a little"


def test_a_text_embeds_alike_in_any_company(tiny_encoder: SentenceEncoder) -> None:
    texts = ["hi", "what is 2 + 2?", "a long one " * 30]
    together = tiny_encoder.embed(texts)
    alone = np.vstack([tiny_encoder.embed([text]) for text in texts])
    assert ((together * alone).sum(axis=1) > 0.999).all()


def test_odd_texts_have_vectors_too(tiny_encoder: SentenceEncoder) -> None:
    made = tiny_encoder.embed(["", " ", "\ud83d", "\x00" * 50, "词" * 5000, "a" * 1_000_000, "👍🏽"])
    assert made.shape == (7, 32) and np.isfinite(made).all()


def test_of_a_long_text_the_head_and_the_tail_count(tiny_encoder: SentenceEncoder) -> None:
    head, tail = "a " * HEAD_TOKENS, "b " * TAIL_TOKENS
    one, other = tiny_encoder.embed([head + "c " * 200 + tail, head + "d " * 200 + tail])
    assert np.allclose(one, other, atol=1e-6)
    assert not np.allclose(one, tiny_encoder.embed([head + "c " * 200 + "e " * TAIL_TOKENS])[0], atol=1e-3)


def test_other_weights_than_those_trained_with_are_refused(tiny: Path) -> None:
    found = hashlib.sha256((tiny / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert load_encoder(str(tiny), weights=found).weights == found
    with pytest.raises(EncoderError, match=f"has sha256 {found[:12]}, the artefact was trained with {'b' * 12}"):
        load_encoder(str(tiny), weights="b" * 64)


def test_what_is_no_model_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / WEIGHTS_FILE).write_bytes(b"no weights")
    for model in (str(tmp_path), str(tmp_path / "nowhere"), "somebody/has-no-such-model"):
        with pytest.raises(EncoderError) as caught:
            load_encoder(model)
        assert caught.value.reason == "missing", model


def test_the_package_with_the_weights_is_found_and_holds_the_published_ones() -> None:
    folder = find_model()
    assert hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest() == WEIGHTS_SHA256


@pytest.mark.timeout(600)  # it trains twice
def test_an_artefact_is_trained_shown_verified_and_judges(
    tiny: Path,
    outcomes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGNALBOX_ENCODER_MODEL", str(tiny))
    runner, digests = CliRunner(), []
    for out in (tmp_path / "one", tmp_path / "two"):
        done = runner.invoke(cli.app, ["train", str(outcomes), "--out", str(out), "--tier", "encoder", "--json"])
        assert done.exit_code == 0, done.output
        digests.append(json.loads(done.stdout)["digest"])
    assert digests[0] == digests[1], "the same input, seed and machine give the same artefact"
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    artefact = load_artefact(tmp_path / "one")
    assert artefact.manifest["tier"] == "encoder"
    assert weights_of(artefact) == artefact.manifest["encoder"]["weights_sha256"]
    verified = runner.invoke(cli.app, ["artefacts", "verify", str(tmp_path / "one")])
    assert verified.exit_code == 0 and f"encoder@{digests[0]}" in verified.output
    judge = load_classifier("encoder", tmp_path / "one", embedder=load_encoder(str(tiny)))
    easy, hard = (judge.assess(AskText(f"Compute {terms}."), CARDS) for terms in ("3 + 4", "9 + " * 15 + "1"))
    assert easy.classifier == f"encoder@{digests[0]}"
    assert easy.complexity != hard.complexity


# --- the real weights


@pytest.fixture(scope="module")
def shipped() -> LearnedClassifier:
    judge = load_classifier("encoder")
    assert isinstance(judge, LearnedClassifier)
    return judge


@pytest.mark.parametrize("text", ["hello", "thanks a lot", "translate apple to Dutch", "What is the capital of Kenya?"])
def test_everyday_asks_are_left_to_the_small_model(shipped: LearnedClassifier, text: str) -> None:
    assert shipped.assess(AskText(text), CARDS).complexity < 0.35


@pytest.mark.parametrize(
    "text",
    [
        "Prove that a locally compact group has a Haar measure.",
        "Design a consensus protocol for Byzantine faults, prove safety and analyse its failure modes.",
    ],
)
def test_short_expert_asks_are_not_taken_for_easy_ones(shipped: LearnedClassifier, text: str) -> None:
    assert shipped.assess(AskText(text), CARDS).complexity >= 0.35


def test_the_shipped_artefact_is_for_the_published_weights_and_small(shipped: LearnedClassifier) -> None:
    artefact = load_tier("encoder")
    assert weights_of(artefact) == WEIGHTS_SHA256
    assert artefact.featurise.size <= 512
    assert shipped.name == f"encoder@{artefact.digest}"


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SIGNALBOX_CLASSIFIER", "encoder")
    yield


async def test_a_gateway_on_the_real_encoder_judges_by_it_and_stops_clean(
    tmp_path: Path, chosen: None, shipped: LearnedClassifier
) -> None:
    model = StandIn("m", lambda text: f"heard {text}")
    async with model.serve() as url:
        policy = POLICY.format(small=url, large=url)
        async with running(tmp_path, policy, classifier="encoder", encoder_budget_ms=10_000) as gateway:
            ready = await gateway.get("/readyz")
            assert (ready["status"], ready["classifier"]) == ("ok", shipped.name)
            told = await gateway.post("/v1/route", {"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
            assert told.json()["assessment"]["classifier"] == shipped.name
            answer = await gateway.chat("Prove that every bounded sequence of reals has a convergent subsequence.")
            assert answer.headers["x-signalbox-rule"] == "hard"
            told = await gateway.get(f"/v1/decisions/{answer.headers['x-request-id']}")
            assert told["assessment"]["classifier"] == shipped.name
    assert not [thread for thread in threading.enumerate() if thread.name == "signalbox-encoder"]


def test_explain_doctor_and_the_library_give_the_encoders_answer(
    tmp_path: Path, chosen: None, shipped: LearnedClassifier
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(small="http://127.0.0.1:1", large="http://127.0.0.1:1"))
    runner = CliRunner()
    told = runner.invoke(cli.app, ["policy", "explain", str(policy), "--ask", "hi", "--json"])
    assert json.loads(told.stdout)["assessment"]["classifier"] == shipped.name
    assert shipped.name in runner.invoke(cli.app, ["doctor"]).output
    assert Router.load(policy).explain("hi")["assessment"]["classifier"] == shipped.name


def test_options_are_picked_by_the_real_embeddings(shipped: LearnedClassifier) -> None:
    embedder = embedder_of(shipped)
    assert embedder is not None
    embeddings = embedder.embed(texts_to_embed(OPTIONS))
    matcher = Matcher(OPTIONS, shipped_vectors(), embeddings)
    said = {text: matcher.scores(AskText(text), embedder.embed([text])[0]) for text in (*ASKS, *FOREIGN)}
    assert {text: int(said[text].argmax()) for text in ASKS} == ASKS
    assert min(said[text].max() for text in ASKS) > max(0.5, *(said[text].max() for text in FOREIGN))


def test_the_library_selects_by_the_encoder_where_it_judges(tmp_path: Path, chosen: None) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text(*["http://127.0.0.1:1"] * 3), "utf-8")
    router = Router.load(policy, env={})
    [(name, score), *_] = router.options("my holidays: how much time off is left this year?")
    assert name == "staff" and 0.5 <= score <= 1.0


def test_settings_name_the_model(tiny: Path) -> None:
    assert encoders.find_model(Settings(encoder_model=str(tiny)).encoder_model) == tiny
