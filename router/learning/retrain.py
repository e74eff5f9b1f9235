"""One retraining, from the ledger to the registry: dataset, judges fitted forwards, evidence, a gate, a report.

Runs in a process of its own beside the gateways. How heads are fitted, measured and judged is `classifiers.training`'s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from classifiers.artefact import Artefact, pack, unpack
from classifiers.learned import LearnedClassifier
from classifiers.tiers import load_tier
from classifiers.training.evidence import Evidence, gather
from classifiers.training.forward import Fit, chain, save_candidate
from classifiers.training.gate import Verdict, judge
from classifiers.training.retrain import RetrainReport, retrain_from_logs
from classifiers.training.steadiness import latency, steadiness
from router.errors import NotFound
from router.learning.dataset import Counts, labels_by_day, read_dataset
from router.learning.drifting import keep_reference
from router.learning.in_force import estimate_in_force
from router.ledger.contract import Store
from router.ledger.registry import Registry
from router.ledger.window import Window
from router.policy.compiled import Policy

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a retraining found. sha256: the candidate in the registry, None where nothing was learned.

    held_out: labelled answers that were judged by fits which never saw them. passed: whether the gate lets it through;
    reason: why, or why not. promoted: whether it is current now. evidence, verdict: None where there is no candidate.
    labels_by_day: how many of which source were given on a day (UTC).
    """

    labelled: int
    held_out: int
    counts: Counts
    report: RetrainReport
    evidence: Evidence | None
    verdict: Verdict | None
    current: str
    sha256: str | None
    classifier: str | None
    passed: bool
    reason: str
    promoted: bool
    learned_until: float | None = None
    labels_by_day: tuple[tuple[str, dict[str, int]], ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON-able values, for `--json`, the page and the registry's report. expected: the interval of the quality
        that the policy in force would have with the candidate; None where nothing could be estimated."""
        force = None if self.evidence is None else self.evidence.in_force
        figure = None if force is None else force.expected
        expected = None if figure is None or figure.low is None else {"low": figure.low, "high": figure.high}
        return {**asdict(self), "expected": expected}


async def retrain(
    store: Store,
    window: Window,
    *,
    promote: bool,
    by: str,
    tier: str = "fast",
    seed: int = 0,
    policy: Policy | None = None,
    fit: Fit | None = None,
    say: Say = lambda _text: None,
) -> Retraining:
    """Fits judges on what is older, judges them on what is newer, and keeps the last one if anything was learned.

    promote: make it current if the gate lets it through and nobody has promoted or rolled back meanwhile. tier: of the
    judge whose requests are learned from; no encoder is needed for it. policy: the one in force; without it nothing is
    estimated of what a promotion would do. fit: in the place of `retrain_from_logs`. Raises StoreAway, StoreBusy
    while another retraining runs on the same ledger, and ArtefactError where the current artefact cannot be read.
    One that is killed leaves nothing behind: the candidate and its report come into the registry in one
    transaction, at the end.
    """
    async with store.alone("retraining"):
        return await _retrain(store, window, promote, by, tier, seed, policy, fit, say)


async def _retrain(
    store: Store,
    window: Window,
    promote: bool,
    by: str,
    tier: str,
    seed: int,
    policy: Policy | None,
    fit: Fit | None,
    say: Say,
) -> Retraining:
    registry = Registry(store)
    with tempfile.TemporaryDirectory(prefix="signalbox-") as scratch:
        standing = await registry.standing()
        current, parent = await _artefact(registry, standing.current, tier, Path(scratch) / "current")
        say(f"current judge: {tier}@{current.digest}")
        data, counts = await read_dataset(store, window, current, None if policy is None else policy.scanner)
        say(f"{counts.labelled} labelled answers, {len(data.logged)} to go by; {counts.pairs} pairs")
        root = _root(current, tier)
        links = chain(data, current, fit or (lambda rows: retrain_from_logs(rows, root, seed=seed)))
        done = Retraining(
            counts.labelled,
            links.held_out,
            counts,
            links.report,
            None,
            None,
            f"{tier}@{current.digest}",
            None,
            None,
            False,
            f"nothing was learned from {links.report.used} usable labels",
            False,
            labels_by_day=labels_by_day(data),
        )
        if links.candidate.digest == current.digest:
            return done
        evidence = gather(links, current, seed)
        evidence = replace(evidence, **_tried(current, links.candidate))
        if policy is not None:
            in_force = await estimate_in_force(store, window, links, current, policy)
            evidence = replace(evidence, in_force=in_force)
        verdict = judge(evidence)
        name = f"{tier}@{links.candidate.digest}"
        say(f"candidate {name}: {verdict.reason}")
        folder = Path(scratch) / "candidate"
        save_candidate(links, folder, current)
        packed = pack(folder)
        done = replace(
            done,
            evidence=evidence,
            verdict=verdict,
            classifier=name,
            passed=verdict.passed,
            reason=verdict.reason,
            learned_until=links.begins[-1],
        )
        metrics = {
            "comparison": asdict(evidence.comparison),
            "passed": verdict.passed,
            "reason": verdict.reason,
            "checks": [asdict(check) for check in verdict.checks],
        }
        sha256 = await registry.save(packed, done.document(), metrics=metrics, parent=parent)
        learned_from = Window(window.since_unix, min(links.begins[-1], window.until_unix))
        await keep_reference(store, learned_from, links.candidate, sha256)
    done = replace(done, sha256=sha256)
    if not promote or not verdict.passed:
        return done
    try:
        await registry.promote(sha256, by, only_if=standing.entry or 0)
    except NotFound:
        why = "not promoted, for somebody has promoted or rolled back since it was compared"
        return replace(done, reason=f"{done.reason}; {why}")
    return replace(done, promoted=True)


def _root(current: Artefact, tier: str) -> Artefact:
    """What a retraining starts from: the artefact that ships, so that no label is learned from twice. Where its
    features are not the current one's, the current one."""
    shipped = load_tier(tier)
    return shipped if shipped.featurise.digest == current.featurise.digest else current


def _tried(current: Artefact, candidate: Artefact) -> dict[str, Any]:
    """Robustness and latency on canned asks, where the judge can read texts without an encoder."""
    if current.tier != "fast":
        why = "robustness and latency need the encoder, which a retraining does without; features stay as they are"
        return {"notes": (why,)}
    judges = LearnedClassifier(current), LearnedClassifier(candidate)
    return {"steadiness": steadiness(*judges), "latency": latency(*judges)}


async def _artefact(registry: Registry, sha256: str | None, tier: str, folder: Path) -> tuple[Artefact, str | None]:
    """The registry's current artefact where it is of the tier, else the one that ships; with its sha256 there."""
    if sha256 is not None:
        artefact = unpack(await registry.fetch(sha256), folder)
        if artefact.tier == tier:
            return artefact, sha256
    return load_tier(tier), None
