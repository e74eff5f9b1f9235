"""What models cost and how large they are: arithmetic in nano-dollars, and the price map that litellm ships.

The map is a JSON file inside litellm's package, read without importing litellm (which takes seconds). What a policy
says of a model wins over it; who wins is decided in `router.policy.load`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from router.domain import Price, Usage

MILLION = 1_000_000
NANO_PER_DOLLAR = 1_000_000_000

_MAP_FILE = "model_prices_and_context_window_backup.json"
_CHAT_MODES = frozenset({"chat", "completion", "responses"})
_SUPPORTS = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json_schema",
    "supports_vision": "images",
}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the map knows of one model. context: tokens in and out together, as far as the provider states it.

    supports: of `tools`, `json_schema`, `images`, those the map says yes to; None where it says nothing of any.
    retires: the day the provider takes it out of service, where announced.
    """

    price: Price | None
    context: int | None
    max_output: int | None
    supports: frozenset[str] | None
    retires: date | None = None


@dataclass(frozen=True, slots=True)
class PriceMap:
    """litellm's map as it was read. source: `litellm <version> (installed <date>)`."""

    entries: Mapping[str, Mapping[str, Any]]
    source: str


@cache
def read_litellm_map() -> PriceMap:
    """Reads the map once (about 20 ms for its 3 MB); empty where litellm is not installed or has moved its file."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return PriceMap({}, "none")
    file = Path(spec.origin).with_name(_MAP_FILE)
    try:
        entries = orjson.loads(file.read_bytes())
        installed = datetime.fromtimestamp(file.stat().st_mtime, UTC).date()
        return PriceMap(entries, f"litellm {version('litellm')} (installed {installed.isoformat()})")
    except (OSError, orjson.JSONDecodeError, PackageNotFoundError):
        return PriceMap({}, "none")


def lookup(model_id: str) -> ModelFacts | None:
    """What the map says of a model id, with or without its `provider/` in front; None where it knows no such model.

    `anthropic/claude-x` may stand in the map as `claude-x` of the provider `anthropic`, never of another one.
    """
    known = read_litellm_map()
    entry = known.entries.get(model_id)
    if entry is None and "/" in model_id:
        provider, _, bare = model_id.partition("/")
        entry = known.entries.get(bare)
        if entry is not None and entry.get("litellm_provider") != provider:
            entry = None
    if entry is None or entry.get("mode") not in _CHAT_MODES:
        return None
    return ModelFacts(
        price=_price(entry, known.source),
        context=_count(entry.get("max_input_tokens")) or _count(entry.get("max_tokens")),
        max_output=_count(entry.get("max_output_tokens")),
        supports=_supports(entry),
        retires=_day(entry.get("deprecation_date")),
    )


def cost_nano(usage: Usage, price: Price | None) -> int | None:
    """What some tokens cost, in integer nano-dollars, rounded once; None where the price is unknown (never 0).

    A price of one dollar per million tokens is 1,000 nano-dollars a token.
    """
    if price is None:
        return None
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    dollars_times_million = (
        usage.uncached_input * price.input
        + usage.cache_read * read
        + usage.cache_write * write
        + usage.output * price.output
    )
    return round(dollars_times_million * (NANO_PER_DOLLAR // MILLION))


def estimate_usd(input_tokens: int, output_tokens: int, price: Price | None) -> float | None:
    """Dollars that a call of this size would cost without any provider cache; None where the price is unknown."""
    if price is None:
        return None
    return (input_tokens * price.input + output_tokens * price.output) / MILLION


def _price(entry: Mapping[str, Any], source: str) -> Price | None:
    paid_in, paid_out = _per_million(entry, "input_cost_per_token"), _per_million(entry, "output_cost_per_token")
    if paid_in is None or paid_out is None:
        return None
    read = _per_million(entry, "cache_read_input_token_cost")
    write = _per_million(entry, "cache_creation_input_token_cost")
    return Price(paid_in, paid_out, read, write, source)


def _per_million(entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return round(value * MILLION, 9)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _supports(entry: Mapping[str, Any]) -> frozenset[str] | None:
    stated = {ours: entry[theirs] for theirs, ours in _SUPPORTS.items() if theirs in entry}
    return frozenset(name for name, able in stated.items() if able is True) if stated else None


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None
