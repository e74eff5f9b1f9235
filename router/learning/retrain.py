"""One retraining, from the ledger to the registry: labelled requests, a candidate, a comparison on the newest, a gate.

Runs in a process of its own beside the gateways. How heads are fitted and measured is `classifiers.training`'s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from classifiers.artefact import Artefact, pack, unpack
from classifiers.tiers import load_tier
from classifiers.training.compared import Comparison, compare, newest, save_retrained
from classifiers.training.retrain import RetrainReport, retrain_from_logs
from router.ledger.contract import Store
from router.ledger.export import audited, decisions
from router.ledger.registry import Registry
from router.ledger.window import Window

LEAST_HELD_OUT = 20
"""Labelled requests that the comparison must rest on before anything may be promoted."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a retraining found. sha256: the candidate in the registry, None where nothing was learned.

    passed: whether the gate lets it through; reason: why, or why not. promoted: whether it is current now.
    """

    labelled: int
    held_out: int
    report: RetrainReport
    comparison: Comparison | None
    sha256: str | None
    classifier: str | None
    passed: bool
    reason: str
    promoted: bool

    def document(self) -> dict[str, Any]:
        """As JSON-able values, for `--json` and the registry's report."""
        return asdict(self)


async def retrain(
    store: Store,
    window: Window,
    *,
    promote: bool,
    by: str,
    tier: str = "fast",
    seed: int = 0,
    say: Say = lambda _text: None,
) -> Retraining:
    """Fits a candidate on the older labelled requests of `window` and compares it on the newest fifth.

    promote: make it current if the gate lets it through. tier: of the judge whose requests are learned from; no encoder
    is needed for it. Raises StoreAway, StoreBusy while another retraining runs on the same ledger, and ArtefactError
    where the current artefact cannot be read. One that is killed leaves nothing behind: the candidate and its report
    come into the registry in one transaction, at the end.
    """
    async with store.alone("retraining"):
        return await _retrain(store, window, promote, by, tier, seed, say)


async def _retrain(store: Store, window: Window, promote: bool, by: str, tier: str, seed: int, say: Say) -> Retraining:
    registry = Registry(store)
    parent = await registry.current()
    with tempfile.TemporaryDirectory(prefix="signalbox-") as scratch:
        current, parent = await _artefact(registry, parent, tier, Path(scratch) / "current")
        say(f"current judge: {tier}@{current.digest}")
        logged = [row async for batch in decisions(store, window, labelled_only=True) for row in batch]
        logged += await audited(store, window)
        older, held_out = newest(logged)
        say(f"{len(logged)} labelled requests: {len(older)} to learn from, the newest {len(held_out)} to compare on")
        candidate, report = retrain_from_logs(older, current, seed=seed)
        if not report.changed:
            why = f"nothing was learned from {report.used} usable labels"
            return Retraining(len(logged), len(held_out), report, None, None, None, False, why, False)
        comparison = compare(current, candidate, held_out, seed=seed)
        passed, reason = gate(comparison)
        say(f"candidate {tier}@{candidate.digest}: {reason}")
        folder = Path(scratch) / "candidate"
        save_retrained(candidate, folder, current, report, comparison)
        metrics = {"comparison": asdict(comparison), "passed": passed, "reason": reason}
        sha256 = await registry.save(pack(folder), asdict(report), metrics=metrics, parent=parent)
    if promote and passed:
        await registry.promote(sha256, by)
    name = f"{tier}@{candidate.digest}"
    return Retraining(
        len(logged), len(held_out), report, comparison, sha256, name, passed, reason, promoted=promote and passed
    )


def gate(comparison: Comparison) -> tuple[bool, str]:
    """Whether a candidate may take over, and why: no worse by its interval, and better by its mean, on enough rows."""
    difference = comparison.difference
    if comparison.n < LEAST_HELD_OUT:
        return False, f"only {comparison.n} held-out labels, {LEAST_HELD_OUT} are needed to say anything"
    figures = f"log loss {difference} against the current one on {comparison.n} newer requests (below 0 is better)"
    if comparison.better:
        return True, f"better: {figures}"
    if comparison.not_worse and difference.value is not None and difference.value <= 0:
        return True, f"no worse: {figures}"
    return False, f"not better: {figures}"


async def _artefact(registry: Registry, sha256: str | None, tier: str, folder: Path) -> tuple[Artefact, str | None]:
    """The registry's current artefact where it is of the tier, else the one that ships; with its sha256 there."""
    if sha256 is not None:
        artefact = unpack(await registry.fetch(sha256), folder)
        if artefact.tier == tier:
            return artefact, sha256
    return load_tier(tier), None
