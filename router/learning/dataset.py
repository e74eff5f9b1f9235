"""What a retraining goes by, read from the ledger: labelled requests, both halves of audits, and pairs of scores.

Features of another function than the judge's are made anew where the policy kept the text, and left out where not.
Private asks have no features and never get any: neither those that were private when asked, nor those whose text is
private by the rules of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from classifiers.artefact import Artefact
from classifiers.contract import LoggedDecision, ModelCard
from classifiers.errors import ClassifierError
from classifiers.learned import LearnedClassifier
from classifiers.training.rows import Dataset, Half, Pair, join_repeats
from router.ask import read_ask
from router.ledger.contract import Store
from router.ledger.export import decisions, other_halves
from router.ledger.logged import bodies_of
from router.ledger.pairs import OtherAnswer, other_answers
from router.ledger.tally import dollars
from router.ledger.window import Window
from router.privacy import PrivacyScanner


@dataclass(frozen=True, slots=True)
class Counts:
    """labelled: answers with a label. repeats: joined with another answer to the same ask by the same model.
    unreadable: left out, for their features are another function's, or gone, and no text was kept. recomputed: features
    made anew from the text. private: left out, they have none. pairs: requests that two models answered, both scored.
    """

    labelled: int
    repeats: int
    unreadable: int
    recomputed: int
    private: int
    pairs: int


async def read_dataset(
    store: Store, window: Window, current: Artefact, scanner: PrivacyScanner | None = None
) -> tuple[Dataset, Counts]:
    """The labelled answers of the window with features that `current` reads, and how many of which kind there were.

    scanner: says what is private now; default the usual kinds. Raises StoreAway.
    """
    reader = _Reader(store, current, scanner or PrivacyScanner())
    others = await other_answers(store, window)
    kept: list[LoggedDecision] = []
    pairs: list[Pair] = []
    async for batch in decisions(store, window, labelled_only=True):
        for row in await reader.readable(batch):
            kept.append(row)
            if row.request_id in others:
                pairs.append(_pair(row, others[row.request_id]))
    async for batch in other_halves(store, window):
        kept += await reader.readable(batch)
    data = join_repeats(kept, pairs)
    counts = Counts(
        len(kept) + reader.unreadable + reader.private,
        data.repeats,
        reader.unreadable,
        reader.recomputed,
        reader.private,
        len(data.pairs),
    )
    return data, counts


def labels_by_day(data: Dataset) -> tuple[tuple[str, dict[str, int]], ...]:
    """How many labels of which source were given on a day (UTC), oldest first; days without any are left out."""
    counted: dict[str, dict[str, int]] = {}
    for row in data.logged:
        for label in row.labels:
            of_day = counted.setdefault(datetime.fromtimestamp(label.at_unix, UTC).date().isoformat(), {})
            of_day[label.source] = of_day.get(label.source, 0) + 1
    return tuple(sorted(counted.items()))


class _Reader:
    """Sorts rows by whether the judge can read their features, and mends what it can."""

    def __init__(self, store: Store, current: Artefact, scanner: PrivacyScanner):
        self._store, self._artefact, self._scanner = store, current, scanner
        self._classifier = LearnedClassifier(current)
        self.unreadable = self.recomputed = self.private = 0

    async def readable(self, rows: Sequence[LoggedDecision]) -> list[LoggedDecision]:
        """Those with features of the judge's own function, made anew where need be."""
        unread = [row for row in rows if not self._reads(row)]
        bodies, private = await bodies_of(self._store, [row.request_id for row in unread]) if unread else ({}, set())
        kept = []
        for row in rows:
            if self._reads(row):
                kept.append(row)
            elif row.request_id in private:
                self.private += 1
            elif (made := self._made(bodies.get(row.request_id))) is not None:
                self.recomputed += 1
                kept.append(replace(row, features=made, features_digest=self._artefact.featurise.digest))
            else:
                self.unreadable += 1
        return kept

    def _reads(self, row: LoggedDecision) -> bool:
        featurise = self._artefact.featurise
        return (
            row.features is not None
            and row.features_digest == featurise.digest
            and row.features.shape == (featurise.size,)
        )

    def _made(self, body: str | None) -> NDArray[np.float32] | None:
        if body is None:
            return None
        values = _chat(body)
        if values is None:
            return None
        ask = read_ask(values, self._scanner)
        if ask.private:
            return None
        try:
            vector = self._classifier.assess(ask.text, ()).features
        except ClassifierError:  # an encoder that is not here
            return None
        # In the precision that the ledger would have kept.
        return None if vector is None else vector.astype(np.float16).astype(np.float32)


def _chat(body: str) -> dict[str, Any] | None:
    """A kept body, as far as it is one that can be read: texts with lone surrogates were mended when they were kept."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    messages = values.get("messages") if isinstance(values, dict) else None
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    return dict(values)


def _pair(row: LoggedDecision, other: OtherAnswer) -> Pair:
    assert row.features is not None
    beside = other.row
    name = str(beside.model)
    card = ModelCard(name, beside.upstream_model or name, beside.tier or "unknown")
    cost = None if beside.cost_nano is None else dollars(beside.cost_nano)
    return Pair(
        row.request_id,
        row.at_unix,
        row.tenant,
        row.task,
        row.language,
        row.features,
        Half(row.model, other.own_score, row.cost_usd),
        Half(card, other.score, cost),
        row.input_tokens,
    )
