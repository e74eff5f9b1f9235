"""Outcomes of every shape, for the tests of the ledger."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from hypothesis import strategies as st

from router.domain import Outcome, Price, RuleTrace, Usage

_numbers = itertools.count()


def an_outcome(**changes: Any) -> Outcome:
    """A plain answered request of a moment ago."""
    values: dict[str, Any] = {
        "request_id": f"req_{next(_numbers):08d}",
        "at_unix": time.time(),
        "tenant": "acme",
        "key": "web",
        "route": "auto",
        "policy": "default@abc",
        "rule": "easy",
        "model": "small",
        "status": 200,
        "cache": "miss",
        "usage": Usage(uncached_input=10, output=20),
        "cost_nano": 100,
        "baseline_model": "large",
        "baseline_nano": 900,
        "always_small_nano": 50,
        "latency_ms": 12.5,
        "overhead_ms": 0.5,
    }
    return Outcome(**(values | changes))


def a_full_outcome(**changes: Any) -> Outcome:
    """A request in which every field holds something."""
    values: dict[str, Any] = {
        "purpose": "audit",
        "parent_id": "req_parent",
        "caller_request_id": "theirs-1",
        "conversation": "fp_123",
        "plan": "single",
        "classifier": "fast@123",
        "upstream_model": "qwen2.5:3b",
        "provider": "openai",
        "tier": "small",
        "decided_model": "large",
        "probability": 0.95,
        "stream": True,
        "outcome": "upstream_error",
        "error_code": "upstream_broken",
        "fault": "upstream",
        "finish_reason": "stop",
        "attempts": 2,
        "usage": Usage(1, 2, 3, 4, 5, estimated=True),
        "price": Price(0.1, 0.2, 0.05, None, "litellm 1.2.3"),
        "ttft_ms": 3.25,
        "complexity": 0.1,
        "gain": -0.2,
        "support": 0.3,
        "task": "maths",
        "language": "de",
        "eligible": {"small": True, "large": "private"},
        "quality": {"small": 0.25, "large": 0.75},
        "expected_cost_usd": {"small": 0.0, "large": None},
        "rules": (RuleTrace("easy", False, "complexity 0.9"), RuleTrace("hard", True, "üß 問")),
        "fallback": ("large", "other"),
        "ask": {"input_tokens": 9, "private": [], "tools": 0, "json_schema": False},
        "shadow_policy": "next@0",
        "shadow_model": "large",
        "shadow_rule": "hard",
        "shadow_cost_nano": 77,
        "shadow_gain": 0.2,
        "features": np.array([0.5, -0.25, 3.0], np.float32),
        "features_digest": "f00d",
        "request_text": '{"messages": []}',
        "response_text": "Grüße",
    }
    return an_outcome(**(values | changes))


@st.composite
def outcomes(draw: st.DrawFn, at_unix: st.SearchStrategy[float]) -> Outcome:
    """Requests and inner calls as a gateway could have recorded them, prices known or not."""
    amounts = st.none() | st.integers(0, 10**12)
    tokens = st.integers(0, 10**6)
    purpose = draw(st.sampled_from(["chat", "chat", "chat", "attempt", "audit", "judge"]))
    return an_outcome(
        at_unix=draw(at_unix),
        purpose=purpose,
        parent_id=None if purpose == "chat" else "req_parent",
        tenant=draw(st.sampled_from(["acme", "umbrella"])),
        key=draw(st.sampled_from(["web", "batch"])),
        route=draw(st.sampled_from(["auto", "cheap", None])),
        rule=draw(st.sampled_from(["easy", "hard", "pinned", "cache"])),
        model=draw(st.sampled_from(["small", "large", None])),
        task=draw(st.sampled_from(["maths", "code", None])),
        cache=draw(st.sampled_from(["hit", "miss", "bypass"])),
        outcome=draw(st.sampled_from(["ok", "ok", "client_closed", "caller_error", "upstream_error"])),
        usage=Usage(draw(tokens), draw(tokens), draw(tokens), draw(tokens), estimated=draw(st.booleans())),
        cost_nano=draw(amounts),
        baseline_nano=draw(amounts),
        always_small_nano=draw(amounts),
    )
