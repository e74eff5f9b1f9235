"""Forward chaining: judges fitted on what is older judge what is newer, so that much can be held out and nothing leaks.

Fitted on the oldest 40 per cent, a judge judges the next 20; on 60, the next 20; on 80, the newest 20 (Dawid 1984, the
prequential approach). The last one is the candidate: what is promoted is what was judged last, not a later fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.artefact import Artefact, created, save_artefact
from classifiers.contract import LoggedDecision
from classifiers.training.retrain import RetrainReport
from classifiers.training.rows import Dataset, Pair

CUTS: Final = (0.4, 0.6, 0.8)
LEARNED_UNTIL: Final = "learned_until"
"""In a manifest: no row from this moment on was learned from."""

Fit = Callable[[Sequence[LoggedDecision]], tuple[Artefact, RetrainReport]]
"""Labelled requests -> a judge fitted on them."""


@dataclass(frozen=True, slots=True)
class Block:
    """A judge, and what it never saw: labelled requests and pairs from its cut to the next. learned: how many rows."""

    judge: Artefact
    learned: tuple[LoggedDecision, ...]
    logged: tuple[LoggedDecision, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The blocks, oldest first, each with the time from which it judges; the last judge is the candidate."""

    begins: tuple[float, ...]
    blocks: tuple[Block, ...]
    report: RetrainReport

    @property
    def candidate(self) -> Artefact:
        return self.blocks[-1].judge

    @property
    def held_out(self) -> int:
        return sum(len(block.logged) for block in self.blocks)


def chain(data: Dataset, current: Artefact, fit: Fit) -> Chain:
    """Fits a judge at every cut. Rows that the current judge itself learned from are judged by nobody."""
    begins = cuts([row.at_unix for row in data.logged if row.labels], current.manifest.get(LEARNED_UNTIL))
    blocks = []
    ends = [*begins[1:], float("inf")]
    for begin, end in zip(begins, ends, strict=True):
        learned = tuple(row for row in data.logged if row.at_unix < begin)
        judge, report = fit(learned)
        blocks.append(
            Block(
                judge,
                learned,
                tuple(row for row in data.logged if begin <= row.at_unix < end),
                tuple(pair for pair in data.pairs if begin <= pair.at_unix < end),
            )
        )
    return Chain(tuple(begins), tuple(blocks), report)


def cuts(times: Sequence[float], learned_until: float | None = None) -> list[float]:
    """The moments from which rows are held out. times: of the labelled rows, ascending.

    learned_until: before it the current judge has learned; were it judged there, it would seem better than it is.
    """
    if not times:
        return [float("-inf")]
    found = sorted({times[min(len(times) - 1, round(len(times) * cut))] for cut in CUTS})
    if learned_until is None:
        return found
    later = [moment for moment in found if moment > learned_until]
    if found[-1] <= learned_until:
        return [learned_until]
    return later if later[0] == found[0] else [learned_until, *later]


def save_candidate(links: Chain, folder: Path, current: Artefact) -> Artefact:
    """Write the candidate with what it came from and until when it learned; see `artefact.save_artefact`."""
    about: dict[str, Any] = {
        "created": created(),
        "parent": current.digest,
        LEARNED_UNTIL: links.begins[-1],
        "retraining": asdict(links.report),
    }
    return save_artefact(links.candidate, folder, about, {})
