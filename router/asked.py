"""One request as everybody behind the edge sees it: what was sent, who sent it, and what it falls under."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from router.body import Body
from router.domain import Ask, Caller, ModelSpec
from router.expected import Expected
from router.limits.account import Account
from router.policy.compiled import Policy, Route


class ChatRequest(Struct, frozen=True):
    """A chat request as the edge understood it. received: `time.perf_counter()` when the body was whole.

    wants_usage: whether the caller asked for the usage chunk of a stream. expected: of the answer, where the caller
    says.
    """

    request_id: str
    body: Body
    model: str
    stream: bool
    wants_usage: bool
    headers: Mapping[str, str]
    received: float
    expected: Expected | None = None


class Asked(Struct, frozen=True):
    """A request with all that a decision hangs on. target: the route or model it names.

    conversation: as `entry.conversation_of` says it. account: None where the policy has no limits.
    """

    request: ChatRequest
    caller: Caller
    policy: Policy
    target: Route | ModelSpec
    ask: Ask
    conversation: str
    account: Account | None
