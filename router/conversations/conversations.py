"""The conversations of a gateway: recalls before a decision, lets it stay, remembers after the answer."""

from __future__ import annotations

from hashlib import blake2b

from classifiers.contract import Assessment
from router.conversations.contract import Memory, Remembered
from router.conversations.staying import stay
from router.domain import Ask, ModelSpec, Verdict
from router.policy.compiled import Policy, Route, Staying

FINGERPRINT = "fp_"
"""How the name of a conversation begins that its caller did not name."""


class Turn:
    """One turn of a conversation that is kept. Routes that keep none never make one."""

    __slots__ = ("_ask", "_begins", "_key", "_memory", "_settings", "_turns_down")

    def __init__(self, memory: Memory, key: str, settings: Staying, ask: Ask, *, begins: bool):
        self._memory, self._key, self._settings, self._ask, self._begins = memory, key, settings, ask, begins
        self._turns_down = 0

    async def keep(self, verdict: Verdict, assessment: Assessment, policy: Policy) -> Verdict:
        """The verdict as the conversation has it. Only looks: whoever answers is remembered by `answered`."""
        before = None if self._begins else await self._memory.recall(self._key)
        kept, self._turns_down = stay(verdict, before, self._settings, self._ask, assessment, policy.models)
        return kept

    async def answered(self, model: str) -> None:
        """Remembers who answered."""
        if not self._ask.housekeeping:
            turn = Remembered(model, self._ask.input_tokens, self._turns_down)
            await self._memory.remember(self._key, turn, self._settings.ttl_seconds)


class Conversations:
    """All conversations, behind one memory."""

    def __init__(self, memory: Memory):
        self.memory = memory

    def turn(self, target: Route | ModelSpec, ask: Ask, tenant: str, conversation: str) -> Turn | None:
        """The turn that a request is; None where nothing is kept.

        conversation: as `entry.conversation_of` says it. One that goes by its fingerprint begins anew with its first
        turn, for many begin alike.
        """
        if not isinstance(target, Route) or target.conversation is None:
            return None
        digest = blake2b(f"{tenant}\0{target.name}\0{conversation}".encode("utf-8", "replace"), digest_size=16)
        begins = ask.turns <= 1 and conversation.startswith(FINGERPRINT)
        return Turn(self.memory, digest.hexdigest(), target.conversation, ask, begins=begins)
