"""From an ask to a verdict: judged, decided by the policy, kept by the conversation, explored, within the limits.

Each of them has its own room; here is only their order. The pipeline carries out what comes of it.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from classifiers.contract import Assessment
from router.asked import Asked
from router.conversations.conversations import Conversations, Turn
from router.domain import Verdict
from router.errors import NothingHealthy, RateLimited
from router.judge import Judge
from router.limits.limits import NO_LIMITS
from router.plans.contract import InnerCall
from router.policy.compiled import Facts, Policy, Route
from router.policy.explain import explanation
from router.policy.exploring import explore
from router.policy.proofs import Proofs
from router.selection.deciding import Remembering, Selects, decide_selecting
from router.selection.selectors import Selectors
from router.shadowing import Shadow
from router.upstream.health import Health

_TOOL_ROLES = ("tool", "function")


class Decided(Struct, frozen=True):
    """What came of it. judged: what the judge said, None where nobody could. turn: None where no conversation is kept.

    selects: remembers what selectors picked. judge: who judged, the canary's or the one that serves.
    """

    assessment: Assessment
    verdict: Verdict
    judged: Assessment | None
    turn: Turn | None
    selects: Remembering
    judge: Judge


class Decider:
    """All that a decision is made of."""

    def __init__(
        self, *, judge: Judge, health: Health, selectors: Selectors, conversations: Conversations, proofs: Proofs
    ):
        self._judge = judge
        self._proofs = proofs
        self._health = health
        self._selectors = selectors
        self._conversations = conversations

    async def decide(self, asked: Asked, inner: list[InnerCall]) -> Decided:
        """Who answers, with room made for it. inner: where calls of selectors are added.

        Raises RequestError where nobody may serve, or there is no room.
        """
        policy, ask, target, account = asked.policy, asked.ask, asked.target, asked.account
        judged, judge = await self._judged(asked)
        if account is not None:
            await account.look()
        selects = Remembering(self._selectors.calling(policy, asked.request.request_id, inner))
        turn = self._conversations.turn(target, ask, asked.caller.tenant, asked.conversation)
        while True:
            assessment, verdict = await self._decide(judged, asked, selects)
            if turn is not None:
                verdict = await turn.keep(verdict, assessment, policy)
            if isinstance(target, Route) and target.explore is not None:
                looping = asked.request.body.values["messages"][-1].get("role") in _TOOL_ROLES
                verdict = explore(verdict, target.explore, ask, assessment, random.random(), in_tool_loop=looping)
            if account is None or await account.reserve(verdict.decision):
                return Decided(assessment, verdict, judged, turn, selects, judge)

    async def explain(self, asked: Asked) -> dict[str, Any]:
        """What `decide` would decide, without calling, reserving or remembering anything, nor exploring."""
        policy = asked.policy
        judged, _judge = await self._judged(asked)
        if asked.account is not None:
            await asked.account.look(may_pay=False)
        assessment, verdict = await self._decide(judged, asked, self._selectors.without_calls)
        turn = self._conversations.turn(asked.target, asked.ask, asked.caller.tenant, asked.conversation)
        if turn is not None:
            verdict = await turn.keep(verdict, assessment, policy)
        route = asked.target.name if isinstance(asked.target, Route) else None
        return explanation(asked.request.request_id, policy, route, asked.ask, assessment, verdict)

    def shadow(self, policy: Policy, asked: Asked, decided: Decided) -> Shadow:
        """What another policy will decide by, when the answer is out."""
        return Shadow(
            policy,
            asked.policy.cards,
            asked.request.model,
            asked.ask,
            decided.judged,
            self._facts(asked, policy, decided.judged, limited=False),
            decided.judge.classifier,
            decided.selects.selections,
        )

    async def _judged(self, asked: Asked) -> tuple[Assessment | None, Judge]:
        """What the judge says whose turn it is, or the one that serves where a canary cannot; and who that was."""
        text, cards = asked.ask.text, asked.policy.cards
        judge = self._judge.of(asked.caller.tenant, asked.conversation)
        if judge.aside is None:  # no task switch for what is over in a fraction of a millisecond
            judged = judge.assess(text, cards)
        else:
            judged = await judge.assess_aside(text, cards)
        if judged is None and judge is not self._judge:
            judge = self._judge
            judged = judge.assess(text, cards)
        return judged, judge

    async def _decide(self, judged: Assessment | None, asked: Asked, selects: Selects) -> tuple[Assessment, Verdict]:
        facts = self._facts(asked, asked.policy, judged)
        try:
            return await decide_selecting(judged, asked.policy, asked.target, asked.ask, facts, selects)
        except NothingHealthy as refusal:
            refusal.retry_after = self._health.retry_after()
            raise
        except RateLimited as refusal:
            if asked.account is not None:
                refusal.retry_after = asked.account.budgets.retry_after
            raise

    def _facts(self, asked: Asked, policy: Policy, judged: Assessment | None, *, limited: bool = True) -> Facts:
        """What is known of a request beside its ask, for one policy. limited: as budgets stand; else as without any."""
        budgets = asked.account.budgets if limited and asked.account is not None else NO_LIMITS
        return Facts(
            tenant=asked.caller.tenant,
            key_tags=asked.caller.tags,
            headers=asked.request.headers,
            metadata=asked.request.body.values.get("metadata") or {},
            at=datetime.now(UTC),
            unhealthy=self._health.unavailable(),
            spent=budgets.spent,
            budget_used=budgets.used,
            proofs=self._proofs.of(policy, judged.classifier) if judged is not None else {},
        )
