"""What the ledger knows of an ask whose text it does not have, and what it never knows of a request."""

from __future__ import annotations

from classifiers.contract import AskText
from router.ask import BYTES_PER_TOKEN, DEFAULT_OUTPUT_TOKENS
from router.domain import Ask, Outcome

NEVER_KNOWN = {"headers": "headers", "metadata": "metadata", "key": "tags of keys", "budget": "how full budgets were"}
"""Roots of conditions that the ledger keeps nothing of, in words."""


def ask_of(row: Outcome) -> Ask:
    """The ask of a logged request: what it needed, without its text. The output budget was not kept: the usual one."""
    kept = row.ask
    tokens = int(kept.get("input_tokens", row.usage.input))
    return Ask(
        AskText("", input_tokens=tokens),
        tokens,
        DEFAULT_OUTPUT_TOKENS,
        chars=tokens * BYTES_PER_TOKEN,
        turns=int(kept.get("turns", 1)),
        tools=int(kept.get("tools", 0)),
        json_schema=bool(kept.get("json_schema", False)),
        images=int(kept.get("images", 0)),
        housekeeping=bool(kept.get("housekeeping", False)),
        private=tuple(kept.get("private", ())),
        output_assumed=True,
    )
