"""Outcomes as database rows, and back again without loss. Pure functions; nothing here talks to a database.

Rows are plain tuples in the order of the table's columns and hold only what drivers take as it is (JSON as text):
this runs for every request, and SQLAlchemy's own conversion of parameters would cost more than the rest together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from router.domain import Outcome, Price, RuleTrace, Usage
from router.ledger.tables import outcomes

Row = tuple[Any, ...]

FEATURES_MOST = 512
"""Longer vectors than this (1 KB as float16) are not kept."""

_FLOAT16_MOST = 65504.0


def outcome_row(outcome: Outcome) -> Row:
    """The row of `outcomes`, in the order of its columns."""
    usage, price = outcome.usage, outcome.price
    return (
        float(outcome.at_unix),
        outcome.request_id,
        int(outcome.at_unix // 3600),
        outcome.purpose,
        outcome.parent_id,
        outcome.tenant,
        outcome.key,
        clean(outcome.caller_request_id),
        clean(outcome.conversation),
        outcome.route,
        outcome.policy,
        outcome.plan,
        outcome.rule,
        outcome.classifier,
        outcome.model,
        outcome.upstream_model,
        outcome.provider,
        outcome.tier,
        outcome.decided_model,
        _number(outcome.probability),
        outcome.stream,
        outcome.status,
        outcome.outcome,
        outcome.error_code,
        outcome.fault,
        clean(outcome.finish_reason),
        outcome.cache,
        outcome.attempts,
        usage.uncached_input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
        usage.estimated,
        None if price is None else _price(price),
        outcome.cost_nano,
        outcome.baseline_model,
        outcome.baseline_nano,
        outcome.always_small_nano,
        float(outcome.latency_ms),
        _number(outcome.ttft_ms),
        float(outcome.overhead_ms),
        _number(outcome.complexity),
        _number(outcome.gain),
        _number(outcome.support),
        outcome.task,
        outcome.language,
        _mapping(outcome.eligible),
        _mapping(outcome.quality),
        _mapping(outcome.expected_cost_usd),
        _json([(rule.name, rule.matched, rule.why) for rule in outcome.rules]) if outcome.rules else None,
        _json(outcome.fallback) if outcome.fallback else None,
        _mapping(outcome.ask),
        outcome.shadow_policy,
        outcome.shadow_model,
        outcome.shadow_rule,
        outcome.shadow_cost_nano,
        _number(outcome.shadow_gain),
    )


def features_row(outcome: Outcome) -> Row | None:
    """The row of `features`; None for private asks, and where there are none or too many."""
    given = outcome.features
    if given is None or outcome.ask.get("private") or len(given) > FEATURES_MOST:
        return None
    return float(outcome.at_unix), outcome.request_id, outcome.features_digest, pack(given)


def text_row(outcome: Outcome) -> Row | None:
    """The row of `texts`; None where the policy keeps no text."""
    if outcome.request_text is None and outcome.response_text is None:
        return None
    return float(outcome.at_unix), outcome.request_id, clean(outcome.request_text), clean(outcome.response_text)


def outcome_of(row: Mapping[Any, Any]) -> Outcome:
    """The outcome that a row of `outcomes` was made of; with columns of `features` and `texts` joined, those too."""
    price, vector = row["price"], row.get("vector")
    return Outcome(
        **{name: row[name] for name in _SAME},
        usage=Usage(
            row["uncached_input"],
            row["cache_read"],
            row["cache_write"],
            row["output"],
            row["reasoning"],
            estimated=bool(row["usage_estimated"]),
        ),
        price=None if price is None else Price(**price),
        eligible=row["eligible"] or {},
        quality=row["quality"] or {},
        expected_cost_usd=row["expected_cost_usd"] or {},
        rules=tuple(RuleTrace(*rule) for rule in row["rules"] or ()),
        fallback=tuple(row["fallback"] or ()),
        ask=row["ask"] or {},
        features=None if vector is None else unpack(vector),
        features_digest=row.get("features_digest"),
        request_text=row.get("request_text"),
        response_text=row.get("response_text"),
    )


def pack(features: NDArray[np.floating[Any]]) -> bytes:
    """A vector as little-endian float16; what float16 cannot hold becomes its largest number."""
    packed: bytes = np.clip(features, -_FLOAT16_MOST, _FLOAT16_MOST).astype("<f2").tobytes()
    return packed


def unpack(vector: bytes) -> NDArray[np.float32]:
    """The vector that `pack` took, in float16's precision."""
    return np.frombuffer(vector, "<f2").astype(np.float32)


def clean(text: str | None) -> str | None:
    """Text that every database takes: PostgreSQL knows no NUL, and lone surrogates are not UTF-8."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


_JSON = {"price", "eligible", "quality", "expected_cost_usd", "rules", "fallback", "ask"}
_SAME = [c.name for c in outcomes.columns if c.name in Outcome.__dataclass_fields__ and c.name not in _JSON]
"""Columns that hold a field of `Outcome` as it is."""


def _number(value: float | None) -> float | None:
    """A float that sums and averages survive: NaN is unknown."""
    return None if value is None or value != value else float(value)


def _price(price: Price) -> str:
    # Spelled out: dataclasses.asdict takes twenty times as long.
    return _json(
        {
            "input": price.input,
            "output": price.output,
            "cache_read": price.cache_read,
            "cache_write": price.cache_write,
            "source": price.source,
        }
    )


def _mapping(value: Mapping[str, Any]) -> str | None:
    return _json(dict(value)) if value else None


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
