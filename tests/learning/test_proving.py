"""What proves a `max_risk`: which audited pairs count, what they lose, how long a proof stands. On a real ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.contract import AskText
from classifiers.learned import LearnedClassifier
from classifiers.training.risk import lost
from router.domain import Outcome, RuleTrace
from router.errors import StoreError
from router.judge import Judge
from router.learning.proving import EVERY_SECONDS, MOST_PAIRS, WINDOW_DAYS, Judging, Proving, proofs_of
from router.ledger.store import SqlStore
from router.policy.compiled import Policy, Proof
from router.policy.proofs import STANDS_SECONDS, Proofs, known_by, to_prove
from tests.ledger.outcomes import an_outcome
from tests.policy.making import policy_of

ROUTE = "baseline: large\n    audit: {rate: 0.1, judge: odd}"
RULE = "\n      - {{name: promise{when}, choose: cheapest, among: [{among}], keep_quality: 0.9, max_risk: 0.3}}\n"
JUDGE = Judging("test@1", None)
KEY = ("auto", "promise")
GOOD = {"small": 0.9, "medium": 0.9, "large": 0.95, "odd": 0.5}
BAD = {**GOOD, "small": 0.2}
DAY = 86_400.0


def promising(when: str = "", among: str = "small, large") -> Policy:
    return policy_of(RULE.format(when=f', when: "{when}"' if when else "", among=among), route=ROUTE)


POLICY = promising()


class Ledger:
    """A ledger, and pairs for it."""

    def __init__(self, store: SqlStore):
        self.store = store

    async def pair(
        self,
        at_unix: float,
        small: float,
        large: float,
        *,
        served: str = "large",
        policy: Policy = POLICY,
        quality: dict[str, float] = GOOD,
        **changes: Any,
    ) -> None:
        """One request that a model served and the other answered too, with the scores of both."""
        other = "small" if served == "large" else "large"
        values = {
            "policy": policy.label, "rule": "promise", "classifier": JUDGE.name, "at_unix": at_unix, "complexity": 0.4,
            "gain": 0.1, "support": 0.5, "task": "code", "language": "en", "quality": quality, "model": served,
            "rules": (RuleTrace("promise", True, "always"),), "eligible": dict.fromkeys(GOOD, True),
        }  # fmt: skip
        row: Outcome = an_outcome(**(values | changes))
        audit = an_outcome(
            request_id=f"{row.request_id}.audit",
            parent_id=row.request_id,
            purpose="audit",
            at_unix=at_unix,
            model=other,
        )
        await self.store.write([row, audit])
        scores = {"small": small, "large": large}
        for answer, model in ((row, served), (audit, other)):
            await self.store.add_label(answer.request_id, "acme", "audit", "judge", scores[model], known=True)

    async def proof(self, policy: Policy = POLICY, judging: Judging = JUDGE, **more: Any) -> Proof:
        """As it stands now, or since a moment, whatever was seen when."""
        return (await proofs_of(self.store, policy, judging, time.time(), **({"since_unix": 0.0} | more)))[KEY]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    store = SqlStore(f"sqlite:///{tmp_path / 'ledger.db'}")
    await store.open()
    yield Ledger(store)
    await store.aclose()


async def test_a_loss_is_what_the_baseline_scored_more_than_whom_the_rule_would_take(ledger: Ledger) -> None:
    now = time.time()
    await ledger.pair(now - 4, 0.6, 1.0)
    await ledger.pair(now - 3, 0.9, 0.9, served="small")
    await ledger.pair(now - 2, 0.8, 0.6)
    proof = await ledger.proof()
    assert (proof.pairs, proof.left_out) == (3, 0)
    assert proof.lost == pytest.approx((0.4 + 0.0 - 0.2) / 3)


async def test_nothing_is_lost_where_the_rule_would_take_the_baseline_however_bad_the_other_was(ledger: Ledger) -> None:
    await ledger.pair(time.time() - 1, 0.0, 1.0, quality=BAD)
    proof = await ledger.proof()
    assert (proof.pairs, proof.lost) == (1, 0.0)


async def test_who_could_not_serve_then_is_not_taken_now(ledger: Ledger) -> None:
    await ledger.pair(time.time() - 1, 0.0, 1.0, eligible={**dict.fromkeys(GOOD, True), "small": "unhealthy: down"})
    assert (await ledger.proof()).lost == 0.0


async def test_a_request_that_a_third_model_would_have_answered_is_left_out_and_counted(ledger: Ledger) -> None:
    policy = promising(among="small, medium, large")
    await ledger.pair(time.time() - 1, 0.5, 1.0, policy=policy, quality=BAD)
    proof = await ledger.proof(policy)
    assert (proof.pairs, proof.left_out, proof.bound) == (0, 1, 1.0)


async def test_only_requests_since_the_rule_was_first_seen_with_the_judge_count(ledger: Ledger) -> None:
    """What came before may be what the threshold was tuned on, or the judge trained on."""
    began = time.time() - 100
    await ledger.pair(began - 1, 0.9, 0.9)
    assert (await proofs_of(ledger.store, POLICY, JUDGE, began, note=True))[KEY].pairs == 0
    await ledger.pair(began + 1, 0.9, 0.9)
    proof = await ledger.proof(since_unix=None)
    assert (proof.pairs, proof.since_unix) == (1, began)
    assert (await ledger.proof(since_unix=None, note=True)).since_unix == began, "the first sight stands"
    assert (await ledger.proof()).pairs == 2, "a forecast may count all"
    retrained = Judging("test@2", None)
    assert (await ledger.proof(judging=retrained, since_unix=None, note=True)).pairs == 0
    assert (await ledger.proof(since_unix=None)).pairs == 1, "the judge of before goes on where it was"


async def test_a_rule_that_no_gateway_ever_saw_has_no_pairs(ledger: Ledger) -> None:
    await ledger.pair(time.time() - 1, 0.9, 0.9)
    assert (await ledger.proof(since_unix=None)).pairs == 0


async def test_pairs_of_more_than_thirty_days_ago_do_not_count(ledger: Ledger) -> None:
    now = time.time()
    await proofs_of(ledger.store, POLICY, JUDGE, now - 90 * DAY, note=True)
    await ledger.pair(now - (WINDOW_DAYS + 1.1) * DAY, 0.9, 0.9)
    await ledger.pair(now - (WINDOW_DAYS - 1) * DAY, 0.9, 0.9)
    assert (await ledger.proof(since_unix=None)).pairs == 1


async def test_a_route_with_many_audits_does_not_crowd_out_another(ledger: Ledger) -> None:
    rules = RULE.format(when="", among="small, large")
    busy = f"  busy:\n    {ROUTE}\n    rules:{rules}"
    policy, now = policy_of(rules + busy, route=ROUTE), time.time()
    assert [route.name for route, *_ in to_prove(policy)] == ["auto", "busy"]
    await ledger.pair(now - 100, 0.9, 0.9, policy=policy)
    audits = [
        an_outcome(request_id=f"{n}.audit", parent_id=str(n), purpose="audit", route="busy", at_unix=now - 1)
        for n in range(MOST_PAIRS + 1)
    ]
    await ledger.store.write(audits)
    assert (await ledger.proof(policy)).pairs == 1


async def test_what_another_judge_judged_is_judged_anew_by_its_features_or_left_out(ledger: Ledger) -> None:
    classifier = LearnedClassifier.load()
    judged = classifier.assess(AskText("what is the capital of France?"), POLICY.cards)
    theirs = {"classifier": "fast@other", "quality": BAD}
    await ledger.pair(time.time() - 2, 0.5, 1.0, **theirs)
    kept = {"features": judged.features, "features_digest": judged.features_digest}
    await ledger.pair(time.time() - 1, 0.5, 1.0, **theirs, **kept)
    proof = await ledger.proof(judging=Judging(classifier.name, classifier))
    takes_small = judged.quality["small"] >= 0.9 * judged.quality["large"]
    assert (proof.pairs, proof.left_out, proof.lost) == (1, 1, 0.5 if takes_small else 0.0)
    assert (await ledger.proof(judging=Judging("fast@third", None))).left_out == 2


async def test_headers_are_not_logged_so_only_requests_of_this_policy_say_which_rule_they_came_to(
    ledger: Ledger,
) -> None:
    policy = promising("headers['x-team'] == 'red'")
    await ledger.pair(time.time() - 3, 0.7, 0.9, policy=policy)
    await ledger.pair(time.time() - 2, 0.1, 0.9, policy=policy, rules=(RuleTrace("promise", False, "false"),))
    await ledger.pair(time.time() - 1, 0.1, 0.9, policy=POLICY)
    proof = await ledger.proof(policy)
    assert (proof.pairs, proof.lost) == (1, pytest.approx(0.2))
    assert policy.condition_errors == 0, "what is decided here counts for no request"


async def test_of_another_policy_those_that_would_come_to_the_rule_count(ledger: Ledger) -> None:
    policy = promising("ask.task == 'code'")
    await ledger.pair(time.time() - 2, 0.7, 0.9)
    await ledger.pair(time.time() - 1, 0.1, 0.9, task="chat")
    assert (await ledger.proof(policy)).pairs == 1


def test_another_judge_baseline_model_or_wording_is_another_rule_and_nothing_else_is() -> None:
    def key(policy: Policy, classifier: str = "test@1") -> str:
        route = policy.routes["auto"]
        return known_by(policy, route, route.rules[-1], classifier)

    written = RULE.format(when="", among="small, large")
    same = [
        policy_of(written.replace("max_risk: 0.3", "max_risk: 0.1"), route=ROUTE),
        policy_of(written, route=ROUTE.replace("rate: 0.1", "rate: 0.2") + "\n    cache: {exact: {ttl: 1h}}"),
        policy_of(written.replace("name: promise", "name: another name"), route=ROUTE),
    ]
    other = [
        policy_of(written.replace("0.9", "0.91"), route=ROUTE),
        policy_of(written.replace("0.9", "0.9, threshold: 0.1"), route=ROUTE),
        policy_of(written, route=ROUTE.replace("large", "medium")),
        policy_of('\n      - {name: r, when: "complexity < 0.1", use: small}' + written, route=ROUTE),
        promising("complexity < 0.5"),
        promising(among="small, medium, large"),
    ]
    assert {key(policy) for policy in same} == {key(POLICY)}
    keys = {key(policy) for policy in other} | {key(POLICY, "test@2")}
    assert len(keys) == len(other) + 1 and key(POLICY) not in keys


@pytest.mark.parametrize(("max_risk", "pairs"), [(0.1, 42), (0.05, 82), (0.02, 202)])
def test_pairs_without_any_loss_prove_as_the_docs_say(max_risk: float, pairs: int) -> None:
    assert lost(np.zeros(pairs)) <= max_risk < lost(np.zeros(pairs - 1))
    assert f"{max_risk:g} with {pairs} pairs" in (Path(__file__).parents[2] / "docs" / "policies.md").read_text("utf-8")


def test_a_proof_is_of_one_policy_and_one_judge() -> None:
    proofs = Proofs()
    proofs.put({(POLICY.digest, "test@1"): {KEY: Proof(0.1)}}, 0.0)
    assert proofs.of(POLICY, "test@1")[KEY].bound == 0.1
    assert not proofs.of(POLICY, "test@2") and not proofs.of(POLICY, "test@1 (encoder late)")
    assert not proofs.of(promising("complexity < 0.5"), "test@1")


async def test_while_the_ledger_is_away_the_last_proof_stands_for_a_time_and_then_the_baseline_serves(
    tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    now, urls = [1000.0], [f"sqlite:///{tmp_path / 'ledger.db'}"]
    judge = Judge(LearnedClassifier.load())
    proofs = Proofs(clock=lambda: now[0])
    proving = Proving(proofs, judge, lambda: [POLICY], lambda: SqlStore(urls[0]), clock=lambda: time.time() - 60)
    await proving.look()
    for number in range(15):
        await ledger.pair(time.time() - 50 + number, 0.9, 0.9, classifier=judge.name)
    proving = Proving(proofs, judge, lambda: [POLICY], lambda: SqlStore(urls[0]), ticks=lambda: now[0])
    await proving.poll()
    assert proofs.of(POLICY, judge.name)[KEY].proves(0.3)

    urls[0] = "postgresql://nobody@127.0.0.1:1/nowhere"
    now[0] += EVERY_SECONDS + 1
    with pytest.raises(StoreError):
        await proving.poll()
    assert proofs.of(POLICY, judge.name)[KEY].proves(0.3), "for a while"
    now[0] += STANDS_SECONDS
    with caplog.at_level(logging.WARNING), pytest.raises(StoreError):
        await proving.poll()
    assert not proofs.of(POLICY, judge.name)
    assert "the baselines serve" in caplog.text

    urls[0] = f"sqlite:///{tmp_path / 'ledger.db'}"
    await proving.poll()
    assert proofs.of(POLICY, judge.name)[KEY].proves(0.3)
