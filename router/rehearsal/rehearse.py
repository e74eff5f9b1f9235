"""One rehearsal: requests in parts, and after each part the loop turns once: retrain, promote, set the threshold anew.

Everything goes the way it goes in earnest: asks over HTTP, audits by the gateway, labels and rows in its ledger,
retraining and promotion through its registry, the threshold written into the policy file and taken up by the running
gateway. SIMULATED are the models, who answer as recorded, and the judge, who reads the recorded scores with noise.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifiers.contract import AskText, Classifier
from classifiers.learned import LearnedClassifier
from classifiers.training.curves import Promise
from classifiers.training.fit import Floats
from router.domain import Price
from router.errors import SettingsError
from router.judge import Judge
from router.learning.retrain import retrain
from router.learning.uptake import load_packed
from router.learning.watching import Watch
from router.ledger.pairs import audits_cost, other_answers
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.window import Window
from router.policy.compiled import Choose, Policy
from router.policy.document import read_document
from router.policy.load import decode, load_policy
from router.policy.setting import set_number
from router.rehearsal.figures import (
    CONFIDENCES,
    KEPT,
    Prices,
    calibration,
    compared,
    curve_of,
    fixed_beforehand,
    oracle_trust,
    recorded_of,
)
from router.rehearsal.house import Audits, House, open_house, rehearsal_policy, roles_of, write_policy
from router.rehearsal.recorded import Cast, Take
from router.trial.tuning import LEAST_ROWS, rule_to_tune, tune
from router.trial.tuning_logged import learned_until, logged_rows

Say = Callable[[str], None]
UPTAKE_SECONDS: Final = 30.0
ROUTE: Final = "auto"
LEAST_AUDITED: Final = 50
"""Audits of the first half on which thresholds are set beforehand; with fewer none is."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is rehearsed. every: requests between two turns of the loop."""

    takes: Sequence[Take]
    policy: Path
    every: int
    audits: Audits
    seed: int


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of requests. kept, bill: shares of always-large's quality and bill; audits: what audits and judging
    took, as a share of the same bill. judge: who judged it; threshold: by which the promise was kept on it.
    ece: of the predicted quality of the small model. random, length, default, oracle: the quality kept at the same
    bill by other rankings. labels: requests audited so far. drifted: what the watch raised an alarm of; rolled_back:
    why it took the judge back, if it did.
    """

    requests: int
    quality: float
    kept: float
    bill: float
    audits: float
    large: float
    labels: int
    ece: float
    judge: str
    threshold: float | None
    promoted: bool
    gate: str
    random: float
    length: float
    default: float
    oracle: float
    always_small: float
    drifted: tuple[str, ...] = ()
    rolled_back: str | None = None


async def rehearse(script: Script, env: dict[str, str], say: Say = lambda _text: None) -> dict[str, Any]:
    """Plays the script, and says what came of it as JSON-able values. Raises ConfigError, RehearsalError."""
    policy = load_policy(script.policy, env)
    roles = roles_of(policy)
    text = decode(script.policy.read_bytes(), str(script.policy))
    written = read_document(text, str(script.policy), env).values
    _, rule = rule_to_tune(policy, ROUTE, None)
    if not isinstance(rule.act, Choose):
        raise SettingsError(
            f"rule {rule.name} of {policy.name} cannot be rehearsed: only `choose` is tuned from audits"
        )
    cast = Cast(script.takes, script.audits.noise, script.seed)
    async with cast.small.serve() as small, cast.large.serve() as large, cast.judge.serve() as judge:
        urls = {"small": small, "large": large, "judge": judge}
        with tempfile.TemporaryDirectory(prefix="signalbox-rehearsal-") as folder:
            file = Path(folder) / "rehearsal.yaml"
            write_policy(rehearsal_policy(written, policy, roles, urls, script.audits), file)
            async with open_house(file, Path(folder)) as house:
                return await _Rehearsal(script, house, file, roles.small, roles.large, say).play()


class _Rehearsal:
    """The parts, one after another, and what is known after each."""

    def __init__(self, script: Script, house: House, file: Path, small: str, large: str, say: Say):
        self._script, self._house, self._file, self._say = script, house, file, say
        self._small, self._large = small, large
        self._store = SqlStore(house.gateway.settings.store_url)
        policy = self._policy()
        prices = [policy.models[name].price for name in (small, large)]
        self._prices = Prices(*(price or Price(0.0, 0.0) for price in prices))
        self._shipped: Classifier = house.gateway.judge.classifier
        self._cards = tuple(policy.models[name].card for name in (small, large))
        self._threshold: float | None = None
        self._candidate: str | None = None
        """The sha256 of what the last retraining made, None where it learned nothing."""
        self._asked: dict[str, Take] = {}
        """What was asked so far, by the id of its request."""

    async def play(self) -> dict[str, Any]:
        takes, every = list(self._script.takes), self._script.every
        half = next((start for start in range(0, len(takes), every) if 2 * start >= len(takes)), 0)
        at_half: Classifier = self._shipped
        ungated: Classifier | None = None
        parts = []
        await self._store.open()
        try:
            for start in range(0, len(takes), every):
                stretch = takes[start : start + every]
                judge = self._house.gateway.judge.classifier
                if start == half:
                    at_half = judge  # what it learns later it has learned from the second half itself
                    ungated = await self._last_candidate()
                trust = self._trust(judge, stretch)
                began = time.time()
                answered = await self._house.ask(stretch)
                await self._house.settle()
                self._asked |= {request_id: take for take, (_, request_id) in zip(stretch, answered, strict=True)}
                part = await self._part(stretch, [model for model, _ in answered], trust, began)
                part = await self._watched(part, began)
                if start + every < len(takes):
                    part = await self._learn(part)
                parts.append(part)
                self._say(
                    f"{start + len(stretch)} requests: kept {part.kept:.3f} for {part.bill:.3f} of the bill "
                    f"+ {part.audits:.3f} for audits; {part.gate}"
                    + (f"; drift: {', '.join(part.drifted)}" if part.drifted else "")
                )
            began_second = next(place for place, start in enumerate(range(0, len(takes), every)) if start == half)
            return await self._summary(takes[:half], takes[half:], at_half, ungated, parts, began_second)
        finally:
            await self._store.aclose()

    def _policy(self) -> Policy:
        return load_policy(self._file, {})

    def _trust(self, classifier: Classifier, takes: Sequence[Take]) -> tuple[Floats, Floats]:
        """(trust in the small model: how little it is predicted to lose; its predicted quality), shape (n,)."""
        found = [classifier.assess(AskText(take.query), self._cards).quality for take in takes]
        small, large = (np.array([one[name] for one in found]) for name in (self._small, self._large))
        return small - large, small

    async def _part(
        self, takes: Sequence[Take], answered: Sequence[str], trust: tuple[Floats, Floats], began: float
    ) -> Part:
        recorded = recorded_of(takes, self._prices)
        by_large = np.array([model == self._large for model in answered])
        quality = np.where(by_large, recorded.large, recorded.small)
        whole = recorded.large_cost.sum()
        bill = float(np.where(by_large, recorded.large_cost, recorded.small_cost).sum() / whole)
        _, spent = await audits_cost(self._store, began)
        audited, _ = await audits_cost(self._store, 0.0)
        best = float(recorded.large.sum())

        def at_same_bill(other: Floats) -> float:
            curve = curve_of(other, recorded)
            bills = curve.cost.sum(axis=1) / whole
            place = int(np.argmin(np.abs(bills - bill)))
            return float(curve.quality[place].sum() / best)

        default, _ = self._trust(self._shipped, takes)
        chance = np.random.default_rng(self._script.seed).random(len(recorded))
        return Part(
            requests=len(takes),
            quality=float(quality.mean()),
            kept=float(quality.sum() / best),
            bill=bill,
            audits=spent / float(whole),
            large=float(by_large.mean()),
            labels=audited,
            ece=calibration(trust[1], recorded.small),
            judge=self._house.gateway.judge.name,
            threshold=self._threshold,
            promoted=False,
            gate="no retraining",
            random=at_same_bill(chance),
            length=at_same_bill(-recorded.length),
            default=at_same_bill(default),
            oracle=at_same_bill(oracle_trust(recorded)),
            always_small=float(recorded.small.sum() / best),
        )

    async def _last_candidate(self) -> Classifier | None:
        """What the last retraining made of the first half, whether the gate let it through or not."""
        if self._candidate is None:
            return None
        packed = await Registry(self._store).fetch(self._candidate)
        return LearnedClassifier(await asyncio.to_thread(load_packed, packed))

    async def _watched(self, part: Part, began: float) -> Part:
        """What `signalbox watch` finds when it looks at this part alone, and does."""
        turn = await Watch(self._store, tier="fast", window_seconds=time.time() - began).turn()
        drifted = tuple(turn.drift["alarms"]) if turn.drift else ()
        if turn.did == "rolled back":
            name = self._house.gateway.judge.name
            await self._until(lambda: self._house.gateway.judge.name != name, "the judge that was before")
        return replace(part, drifted=drifted, rolled_back=turn.reason if turn.did == "rolled back" else None)

    async def _learn(self, part: Part) -> Part:
        """Retrains on all that was logged, promotes what passes the gate, and sets the threshold on the audits."""
        window = Window(0.0, time.time() + 60)
        done = await retrain(self._store, window, promote=True, by="rehearsal", seed=self._script.seed)
        self._candidate = done.sha256
        if done.promoted:
            await self._until(lambda: self._house.gateway.judge.name == done.classifier, "the new judge")
        policy = self._policy()
        route, rule = rule_to_tune(policy, ROUTE, None)
        rows, _ = await logged_rows(
            self._store, window, policy, route, rule, Judge(self._house.gateway.judge.classifier)
        )
        try:
            found = tune(policy, route, rule, rows, Promise(KEPT), {name: name for name in policy.models})
        except SettingsError as error:
            self._say(f"no threshold: {error}")
        else:
            if found.written is not None:
                set_number(self._file, ROUTE, rule.name, None, "threshold", found.written, "by the rehearsal", {})
                self._threshold = found.written
                label = self._policy().label
                await self._until(lambda: self._house.gateway.policy.current.label == label, "the new threshold")
        return replace(part, promoted=done.promoted, gate=done.reason)

    async def _summary(
        self,
        first: Sequence[Take],
        second: Sequence[Take],
        learned: Classifier,
        ungated: Classifier | None,
        parts: Sequence[Part],
        began_second: int,
    ) -> dict[str, Any]:
        """The second half against other ways of routing it, by thresholds set on the first half and in hindsight.

        learned: the judge as it was when the second half began; ungated: the last candidate by then. Thresholds are set
        as `policy tune --logs` does: on audits that a judge has not learned from, where there are enough of them.
        """
        recorded = recorded_of(second, self._prices)
        trusts = {
            "learned": self._trust(learned, second)[0],
            "default": self._trust(self._shipped, second)[0],
            "length": -recorded.length,
            "random": np.random.default_rng(self._script.seed + 1).random(len(second)),
            "oracle": oracle_trust(recorded),
        }
        if ungated is not None:
            trusts["ungated"] = self._trust(ungated, second)[0]
        judged = await self._audited(first)
        fixed: dict[str, dict[str, Any]] = {}
        if len(judged) >= LEAST_AUDITED:
            judges = {"learned": learned, "default": self._shipped, "length": None, "ungated": ungated}
            for name in judges.keys() & trusts.keys():
                classifier = judges[name]
                rows = _unlearned(judged, classifier)
                audited = recorded_of(rows, self._prices)
                taught = -audited.length if classifier is None else self._trust(classifier, rows)[0]
                fixed[name] = {
                    sure: fixed_beforehand(trusts[name], recorded, taught, audited, confidence)
                    for sure, confidence in CONFIDENCES.items()
                }
        return {
            "parts": [_fields(part) for part in parts],
            "second_half": {
                "requests": len(second),
                "hindsight": compared(trusts, recorded, self._script.seed),
                "audited": len(judged),
                "fixed_beforehand": fixed,
                "served": _served(parts[began_second:]),
            },
            "first_half": {"requests": len(first), "served": _served(parts[:began_second])},
            "all": {
                "always_small": float(recorded.small.mean()),
                "always_large": float(recorded.large.mean()),
                "gap": float(recorded.small.sum() / recorded.large.sum()),
            },
        }

    async def _audited(self, takes: Sequence[Take]) -> list[tuple[float, Take]]:
        """(when, query) of those that the gateway audited, with the judge's scores in place of the recorded ones."""
        wanted, found = {take.number for take in takes}, []
        for request_id, other in (await other_answers(self._store, Window(0.0, time.time() + 60))).items():
            take = self._asked[request_id]
            if take.number in wanted:
                by_small = other.row.model == self._small
                small, large = (other.score, other.own_score) if by_small else (other.own_score, other.score)
                found.append((other.row.at_unix, replace(take, small=small, large=large)))
        return found

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + UPTAKE_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise SettingsError(f"the gateway did not take up {what} within {UPTAKE_SECONDS:.0f} s")
            await asyncio.sleep(0.1)


def _unlearned(judged: Sequence[tuple[float, Take]], classifier: Classifier | None) -> list[Take]:
    """Those that a judge has not learned from, if they are enough to set a threshold on; else all."""
    known = 0.0 if classifier is None else learned_until(classifier)
    fresh = [take for at_unix, take in judged if at_unix >= known]
    return fresh if len(fresh) >= LEAST_ROWS else [take for _, take in judged]


def _served(parts: Sequence[Part]) -> dict[str, float]:
    """What went out in some parts: shares of always-large's quality and bill, and what audits and judging took."""
    return {
        name: float(np.average([getattr(part, name) for part in parts], weights=[part.requests for part in parts]))
        for name in ("kept", "bill", "audits", "large", "ece")
    }


def _fields(part: Part) -> dict[str, Any]:
    return {name: getattr(part, name) for name in Part.__dataclass_fields__}
