"""Examples of what crosses `/api`, for `/openapi.json`; a test holds them against the schemas."""

from __future__ import annotations

from typing import Any

TALLY_EXAMPLE: dict[str, Any] = {
    "requests": 1200,
    "input_tokens": 310000,
    "output_tokens": 420000,
    "spend_usd": 1.84,
    "baseline_usd": 7.23,
    "saved_usd": 5.39,
    "always_small_usd": 0.12,
    "inner_usd": 0.04,
    "cache_hits": 96,
    "errors": 3,
    "unpriced": 0,
    "inner_unpriced": 0,
    "estimated": 12,
    "inner_estimated": 0,
}

ROW_EXAMPLE: dict[str, Any] = {
    "request_id": "req_0193c1f2a7b0c5a1f0e2d3c4b5a69788",
    "at": "2026-01-31T08:00:00.125Z",
    "tenant": "default",
    "key": "none",
    "route": "auto",
    "policy": "default@3f9a1c02b7de",
    "rule": "easy",
    "model": "small",
    "decided_model": "small",
    "tier": "small",
    "status": 200,
    "outcome": "ok",
    "error_code": None,
    "cache": "miss",
    "stream": True,
    "attempts": 1,
    "input_tokens": 42,
    "output_tokens": 180,
    "cost_usd": 0.0,
    "baseline_usd": 0.002826,
    "latency_ms": 812.4,
    "ttft_ms": 95.1,
    "overhead_ms": 0.6,
    "complexity": 0.21,
    "task": "chat",
    "language": "en",
    "usage_estimated": False,
    "purpose": "chat",
}

STORY_EXAMPLE: dict[str, Any] = {
    **ROW_EXAMPLE,
    "parent_id": None,
    "caller_request_id": None,
    "conversation": "fp_0123456789abcdef01234567",
    "plan": "single",
    "classifier": "fast@9c41d2e07a55",
    "upstream_model": "qwen2.5:3b",
    "provider": "openai",
    "probability": 1.0,
    "fault": None,
    "finish_reason": "stop",
    "usage": {
        "uncached_input": 42,
        "cache_read": 0,
        "cache_write": 0,
        "output": 180,
        "reasoning": 0,
        "estimated": False,
    },
    "price": {"input": 0.0, "output": 0.0, "cache_read": None, "cache_write": None, "source": "policy"},
    "baseline_model": "large",
    "always_small_usd": 0.0,
    "gain": 0.08,
    "support": 0.83,
    "ask": {"input_tokens": 42, "turns": 1, "task": "chat", "language": "en", "tools": 0, "private": []},
    "eligible": {"small": True, "large": True},
    "quality": {"small": 0.79, "large": 0.87},
    "expected_cost_usd": {"small": 0.0, "large": 0.0031},
    "rules": [{"name": "easy", "matched": True, "why": "complexity < 0.35: complexity is 0.21"}],
    "fallback": ["large"],
    "features": {"digest": "5d1f0c", "dimensions": 316},
    "request_text": None,
    "response_text": None,
    "shadow": {"policy": "next@06c4b78c94b0", "model": "large", "rule": "hard", "cost_usd": 0.002826, "gain": 0.08},
    "inner": [],
    "labels": [
        {
            "key": "web",
            "source": "user",
            "score": 1.0,
            "weight": 1.0,
            "comment": None,
            "at": "2026-01-31T08:01:00.000Z",
        }
    ],
}

SHADOW_EXAMPLE: dict[str, Any] = {
    "since": "2026-01-24T08:00:00.000Z",
    "until": "2026-01-31T08:00:00.000Z",
    "requests": 1000,
    "moved": 0.12,
    "compared": 998,
    "cost_usd": 1.84,
    "shadow_cost_usd": 1.31,
    "gain": -0.004,
    "moves": [
        {
            "policy": "next@06c4b78c94b0",
            "model": "large",
            "shadow_model": "small",
            "requests": 120,
            "compared": 120,
            "cost_usd": 0.53,
            "shadow_cost_usd": 0.0,
            "gain": -0.03,
        }
    ],
}

LABELS_EXAMPLE: dict[str, Any] = {
    "since": "2026-01-24T08:00:00.000Z",
    "until": "2026-01-31T08:00:00.000Z",
    "by_source": [
        {"source": "user", "n": 40, "mean": 0.8, "weight": 40.0},
        {"source": "judge", "n": 12, "mean": 0.74, "weight": 12.0},
    ],
    "by_day": [
        {"day": "2026-01-30", "source": "user", "n": 40, "mean": 0.8},
        {"day": "2026-01-30", "source": "judge", "n": 12, "mean": 0.74},
    ],
    "agreement": [{"a": "user", "b": "judge", "n": 6, "agree": 0.83}],
    "last": [
        {
            "request_id": "req_0193c1f2a7b0c5a1f0e2d3c4b5a69788",
            "tenant": "default",
            "key": "web",
            "source": "user",
            "score": 1.0,
            "weight": 1.0,
            "note": None,
            "at": "2026-01-30T08:01:00.000Z",
        }
    ],
}
