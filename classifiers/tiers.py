"""The tiers of the judge behind one contract, and how each is loaded, for serving and for commands alike.

`heuristic` is rules, `fast` the learned judge without anything heavy, `encoder` the one that reads embeddings.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from classifiers.artefact import DEFAULT_FOLDER, Artefact, load_artefact
from classifiers.contract import Classifier, Embedder
from classifiers.embedded import EmbeddedFeatures
from classifiers.encoder import load_encoder
from classifiers.errors import ArtefactError, ClassifierError
from classifiers.heuristic import HeuristicClassifier
from classifiers.learned import LearnedClassifier

TIERS: Final = ("fast", "heuristic", "encoder")
SHIPPED: Final = {"fast": DEFAULT_FOLDER, "encoder": DEFAULT_FOLDER.with_name("encoder")}


def load_classifier(tier: str, folder: Path | None = None, *, embedder: Embedder | None = None) -> Classifier:
    """The judge of a tier, from an artefact's folder or the one that ships, ready to be asked.

    embedder: for the tier `encoder`; default the installed one (see `classifiers.encoder`). Raises ClassifierError for
    a tier there is not, ArtefactError, EncoderError.
    """
    if tier == "heuristic":
        return HeuristicClassifier()
    artefact = load_tier(tier, folder)
    if tier == "encoder":
        artefact = with_encoder(artefact, embedder or load_encoder(weights=weights_of(artefact)))
    return LearnedClassifier(artefact)


def load_tier(tier: str, folder: Path | None = None) -> Artefact:
    """A tier's artefact, without its encoder: enough to read and learn from logged vectors. Raises as above."""
    if tier not in SHIPPED:
        raise ClassifierError(f"{tier!r} is none of {', '.join(SHIPPED)}")
    return of_tier(load_artefact(folder or SHIPPED[tier]), tier)


def of_tier(artefact: Artefact, tier: str) -> Artefact:
    """The same artefact. Raises ArtefactError where it is of another tier."""
    if artefact.tier != tier:
        raise ArtefactError("foreign", f"{artefact.digest} is of the tier {artefact.tier}, and {tier} was asked for")
    return artefact


def weights_of(artefact: Artefact) -> str:
    """The sha256 of the encoder weights that an artefact was trained with. Raises ArtefactError where it has none."""
    return _embedded(artefact).projection.weights


def with_encoder(artefact: Artefact, embedder: Embedder) -> Artefact:
    """The same artefact, able to judge texts. Raises ArtefactError where it has no use for an encoder."""
    return replace(artefact, featurise=_embedded(artefact).with_embedder(embedder))


def embedder_of(classifier: Classifier) -> Embedder | None:
    """Who embeds for a judge of the tier `encoder`; None for every other judge."""
    features = classifier.artefact.featurise if isinstance(classifier, LearnedClassifier) else None
    return features.embedder if isinstance(features, EmbeddedFeatures) else None


def _embedded(artefact: Artefact) -> EmbeddedFeatures:
    featurise = of_tier(artefact, "encoder").featurise
    assert isinstance(featurise, EmbeddedFeatures)
    return featurise
