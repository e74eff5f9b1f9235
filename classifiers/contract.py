"""What the judge promises: the nouns that cross between the gateway and any classifier.

Only values and protocols live here. How an assessment is made is the business of the tiers
(`heuristic`, `learned`, later `encoder`); what is done with it is the policy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Tier = str
"""`small`, `large`, or any tier a policy names."""

LabelSource = Literal["verifier", "user", "judge", "implicit"]

FORM_KEY = "gateway:structure"
"""The key of a verifier's labels that say an answer has not the form which its request asked for."""


class AskText(Struct, frozen=True):
    """The reduced ask that the judge reads: harness text is already stripped.

    text: the last user turn. earlier: up to two user turns before it, oldest first.
    tools, images: counts in the request. input_tokens: estimate for everything that would leave.
    """

    text: str
    earlier: tuple[str, ...] = ()
    tools: int = 0
    json_schema: bool = False
    images: int = 0
    input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model as the judge sees it.

    name: its name in the policy, and the key of the answer. model: the upstream's own id, by which a trained
    head is found. tier: which generic head stands in where the model has no head of its own.
    """

    name: str
    model: str
    tier: Tier


class Assessment(Struct, frozen=True):
    """What a classifier thinks of one ask. All shares are in 0..1 but `gain`, which is in -1..1.

    quality: P(good answer) for each model asked about, keyed by `ModelCard.name`.
    complexity: 1 - quality of the generic small model. gain: quality(large) - quality(small), generic.
    support: how like its training data the ask is (0 = foreign). classifier: `name@digest`.
    features: shape (d,), d <= 512, float32, what the ledger keeps for retraining; None where there are none.
    features_digest: the feature function that made them.
    """

    complexity: float
    quality: Mapping[str, float]
    gain: float
    support: float
    task: str
    language: str
    classifier: str
    features: NDArray[np.float32] | None = None
    features_digest: str | None = None


class Classifier(Protocol):
    """Judges an ask in a fraction of a millisecond, without network, and never raises on odd text.

    `name` is `tier@digest`; `features_digest` names the feature function, so that logged features are only
    ever read by the code that understands them (None: this classifier has no features).
    """

    @property
    def name(self) -> str: ...

    @property
    def features_digest(self) -> str | None: ...

    def assess(self, ask: AskText, models: Sequence[ModelCard]) -> Assessment: ...


class Embedder(Protocol):
    """Turns texts into unit vectors, shape (len(texts), d), float32."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Label:
    """One quality score in 0..1 for one outcome, with where it came from, how much it counts, and when.

    key: the name of the API key that gave it; empty where nobody's. of: tenant and key of the request that it was given
    for, where that was joined with another's repeat of the ask.
    """

    request_id: str
    score: float
    source: LabelSource
    weight: float
    at_unix: float
    key: str = ""
    of: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One request as the ledger kept it, as far as learning needs it. Arrays in, arrays out: no SQL here.

    features: shape (d,), None for private asks. probability: the chance with which `model` was chosen
    (None where nothing was chosen, as for a cache hit). cost_usd: None where no price was known. key: the name of the
    API key that asked; empty where nobody's.
    """

    request_id: str
    at_unix: float
    tenant: str
    task: str
    language: str
    model: ModelCard
    eligible: tuple[str, ...]
    quality: Mapping[str, float]
    probability: float | None
    cost_usd: float | None
    input_tokens: int
    output_tokens: int
    features: NDArray[np.float32] | None
    features_digest: str | None
    labels: tuple[Label, ...] = ()
    key: str = ""
