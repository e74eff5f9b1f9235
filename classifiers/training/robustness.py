"""How far a judge can be pushed: by writing the same ask differently, and by text added only to push it.

Perturbations should leave the decision at the threshold as it is. Attacks are found on some asks and measured on
others; what counts is the uplift, the share of asks that went to the small model and now go to the large one. Each is
measured on the judge without its defence, with it, and on the judge with it when the search was made against it too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import AskText, Assessment, Classifier
from classifiers.errors import TrainingError
from classifiers.training import attacks, measures
from classifiers.training.attacks import Attack, Complexities, Place
from classifiers.training.judging import assess_all, assess_undefended
from classifiers.training.measures import Figure
from classifiers.training.perturbations import KINDS
from classifiers.training.report import THRESHOLD

MOST: Final = 600
"""Asks that are looked at, drawn under the seed."""
SHOWN: Final = 24
"""Asks that went to the small model on which an attack is found; it is measured on up to MEASURED others."""
MEASURED: Final = 200
PLACES: Final[tuple[Place, ...]] = ("prefix", "suffix")

Read = Callable[[str], AskText]
"""How a gateway would read a text that a caller sends."""


def measure(
    classifier: Classifier, artefact: Artefact, texts: Sequence[str], *, read: Read = AskText, seed: int = 0
) -> dict[str, Any]:
    """Both tables, ready for JSON; shares in 0..1, uplifts in points of a hundred. Raises TrainingError for no texts.

    artefact: whose words an attacker searches among.
    """
    drawn = random.Random(seed).sample(list(dict.fromkeys(texts)), min(MOST, len(set(texts))))
    if not drawn:
        raise TrainingError("there is no text to perturb")
    defended = _complexities(partial(assess_all, classifier), read)
    undefended = _complexities(partial(assess_undefended, classifier), read)
    before = defended(drawn) >= THRESHOLD
    rows, together = [], []
    for kind, change in KINDS.items():
        chance = random.Random(f"{seed} {kind}")
        after = defended([change(text, chance) for text in drawn]) >= THRESHOLD
        together.append(after == before)
        rows.append(
            {
                "kind": kind,
                **_spread(_share(after == before, seed), "unchanged"),
                "to_large": float(np.mean(after & ~before)),
                "to_small": float(np.mean(before & ~after)),
            }
        )
    small = [text for text, large in zip(drawn, before, strict=True) if not large]
    return {
        "threshold": THRESHOLD,
        "n": len(drawn),
        "to_small": len(small),
        "perturbations": rows,
        "unchanged": float(np.mean(together)),
        "attacks": _attacked(undefended, defended, artefact, small, seed),
        "defence_changes": float(np.mean((undefended(drawn) >= THRESHOLD) != before)),
    }


def _attacked(
    undefended: Complexities, defended: Complexities, artefact: Artefact, small: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Rows of uplifts; none where too few asks went to the small model to find attacks and try them on others."""
    shown, others = small[:SHOWN], small[SHOWN : SHOWN + MEASURED]
    if len(others) < SHOWN:
        return []
    vectors = artefact.featurise.vectors
    words = attacks.vocabulary(vectors.words if vectors is not None else ())
    rows = []
    for place in PLACES:
        found = attacks.searched(undefended, shown, words, place, seed)
        knowing = attacks.searched(defended, shown, words, place, seed)
        fluent = attacks.fluent(undefended, shown, place)
        rows += [
            _row(f"searched {place}", found, others, undefended, defended, seed),
            _row(f"searched {place}, against the defence", knowing, others, undefended, defended, seed),
            _row(f"fluent {place}", fluent, others, undefended, defended, seed),
        ]
    return rows


def _row(
    name: str, attack: Attack, asks: Sequence[str], undefended: Complexities, defended: Complexities, seed: int
) -> dict[str, Any]:
    attacked = [attack.on(ask) for ask in asks]
    row: dict[str, Any] = {"attack": name, "text": attack.text, "n": len(asks)}
    for key, judge in (("undefended", undefended), ("defended", defended)):
        # Of the few asks that go to the large model anyway (without the defence), nothing is gained.
        uplift = _share((judge(attacked) >= THRESHOLD) & (judge(asks) < THRESHOLD), seed)
        points = Figure(
            *(None if value is None else 100.0 * value for value in (uplift.value, uplift.low, uplift.high))
        )
        row |= _spread(points, f"uplift_{key}")
    return row


def _complexities(judged: Callable[[Sequence[AskText]], Sequence[Assessment]], read: Read) -> Complexities:
    return lambda texts: np.array([assessment.complexity for assessment in judged([read(text) for text in texts])])


def _share(right: Any, seed: int) -> Figure:
    return measures.bootstrap(lambda i: float(right[i].mean()), len(right), seed)


def _spread(figure: Figure, name: str) -> dict[str, float | None]:
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
