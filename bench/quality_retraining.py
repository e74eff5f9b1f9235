"""What a few labels of one's own traffic do for the heads that serve: `retrain` on real outcomes, measured on the rest.

The small model's outcomes on one file stand for the labels of a gateway whose traffic the shipped judge has never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from classifiers.artefact import Artefact
from classifiers.contract import Label, LoggedDecision, ModelCard
from classifiers.learned import LearnedClassifier
from classifiers.training import measures
from classifiers.training.dataset import OutcomeRow
from classifiers.training.pairing import Paired, pair
from classifiers.training.retrain import retrain_from_logs

LABELS: Final = (30, 100, 300)
DRAWS: Final = 5
SMALL: Final = ModelCard("small", "own/small", "small")


def own_traffic(artefact: Artefact, rows: Sequence[OutcomeRow], small: str, large: str) -> list[dict[str, Any]]:
    """A row for each number of labels, means over DRAWS drawings; each drawing is measured on all other rows."""
    paired = pair(rows, small, large, artefact.featurise)
    table = []
    for count in (0, *LABELS):
        drawn = [_one(artefact, paired, count, draw) for draw in range(DRAWS if count else 1)]
        table.append(
            {
                "labels": count,
                "changed": sum(row["changed"] for row in drawn) / len(drawn),
                **{
                    name: {
                        figure: _spread([row[name][figure] for row in drawn])
                        for figure in ("brier", "ece", "auc_small", "apgr")
                    }
                    for name in ("judge", "base rate")
                },
            }
        )
    return table


def _one(artefact: Artefact, paired: Paired, count: int, draw: int) -> dict[str, Any]:
    order = np.random.default_rng((draw, 7)).permutation(len(paired))
    labelled, rest = order[:count], order[count:]
    logs = [_logged(paired, int(index), artefact, at) for at, index in enumerate(labelled)]
    retrained, report = retrain_from_logs(logs, artefact, seed=draw) if count else (artefact, None)
    judge = LearnedClassifier(retrained)
    shares = np.array([judge.assess_features(paired.vectors[index], (SMALL,)).quality["small"] for index in rest])
    rate = float(paired.small[labelled].mean()) if count else 0.5
    return {
        "changed": bool(report and report.changed),
        "judge": _figures(shares, paired, rest, draw),
        "base rate": _figures(np.full(len(rest), rate), paired, rest, draw),
    }


def _logged(paired: Paired, index: int, artefact: Artefact, at: int) -> LoggedDecision:
    return LoggedDecision(
        request_id=f"r{at:06}",
        at_unix=float(at),
        tenant="own",
        task="factual",
        language="en",
        model=SMALL,
        eligible=("small",),
        quality={},
        probability=1.0,
        cost_usd=None,
        input_tokens=0,
        output_tokens=0,
        features=paired.vectors[index].astype(np.float16).astype(np.float32),
        features_digest=artefact.featurise.digest,
        labels=(Label(f"r{at:06}", float(paired.small[index]), "verifier", 1.0, float(at)),),
    )


def _figures(shares: Any, paired: Paired, rest: Any, seed: int) -> Mapping[str, float | None]:
    small, large = paired.small[rest], paired.large[rest]
    return {
        "brier": measures.brier(shares, small),
        "ece": measures.ece(shares, small),
        "auc_small": measures.auc(shares, small > 0.5),
        "apgr": measures.apgr(1.0 - shares, small, large, seed),
    }


def _spread(figures: Sequence[float | None]) -> dict[str, float | None]:
    """Mean, least and most over the drawings."""
    kept = [figure for figure in figures if figure is not None]
    if not kept:
        return {"value": None, "low": None, "high": None}
    return {"value": sum(kept) / len(kept), "low": min(kept), "high": max(kept)}
