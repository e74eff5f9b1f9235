"""Reads what an upstream counted, whatever it calls its counters, into disjoint buckets. Prices are applied elsewhere.

OpenAI's `prompt_tokens` include what came from its cache, Anthropic's `input_tokens` do not (each per its API
reference); DeepSeek, OpenRouter, xAI and litellm differ in the names of details.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.domain import Usage

_MOST_TOKENS = 1_000_000_000
"""No call counts more; a larger figure is a mistake, and would not fit the ledger's sums."""


def read_usage(counted: Any) -> Usage | None:
    """The buckets of one `usage` object; None where it is no object or counts nothing. Never raises."""
    if not isinstance(counted, Mapping):
        return None
    usage = _read(counted)
    return usage if usage.input or usage.output else None


def _read(counted: Mapping[str, Any]) -> Usage:
    details = _object(counted, "prompt_tokens_details", "input_tokens_details")
    cache_read = _first(details, "cached_tokens") or _first(
        counted, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"
    )
    cache_write = _first(details, "cache_write_tokens", "cache_creation_tokens") or _first(
        counted, "cache_creation_input_tokens"
    )
    prompt = _first(counted, "prompt_tokens")
    if prompt or not _first(counted, "input_tokens"):
        whole = prompt
    elif "input_tokens_details" in counted:
        whole = _first(counted, "input_tokens")
    else:  # Anthropic's own shape: the cached tokens stand beside the rest
        whole = _first(counted, "input_tokens") + cache_read + cache_write
    cache_read = min(cache_read, whole) if whole else cache_read
    cache_write = min(cache_write, whole - cache_read) if whole else cache_write
    output, reasoning = _output(counted, whole)
    return Usage(
        uncached_input=max(0, whole - cache_read - cache_write),
        cache_read=cache_read,
        cache_write=cache_write,
        output=output,
        reasoning=reasoning,
    )


def _output(counted: Mapping[str, Any], whole: int) -> tuple[int, int]:
    """Output tokens, and how many of them were reasoning."""
    output = _first(counted, "completion_tokens", "output_tokens")
    total = _first(counted, "total_tokens")
    details = _object(counted, "completion_tokens_details", "output_tokens_details")
    reasoning = _first(details, "reasoning_tokens") or _first(counted, "reasoning_tokens")
    if reasoning and total == whole + output + reasoning:  # xAI counts reasoning beside the completion
        output += reasoning
    if not output and total > whole:
        output = total - whole
    return output, min(reasoning, output)


def _object(counted: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = counted.get(name)
        if isinstance(value, Mapping):
            return value
    return {}


def _first(counted: Mapping[str, Any], *names: str) -> int:
    """The first of these counters that counts anything, as a whole number; 0 where none does."""
    for name in names:
        value = counted.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS:
            return int(value)
    return 0
