"""What an upstream's refusal means to us: status codes, `retry-after`, and errors written into a 200.

Whatever protocol brought it: the relay and the litellm provider both ask here. Messages name our model and what came
back, never what was sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from router.domain import ModelSpec, Timeouts
from router.errors import (
    UpstreamBroken,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedKey,
    UpstreamTimeout,
)

PASSED_ON = frozenset({400, 404, 413, 422})
"""The caller's to read and to mend: handed on with status and body unchanged. 413 is a prompt too large for it."""

_LONGEST_WAIT_SECONDS = 86_400.0


def refusal(model: ModelSpec, status: int, headers: Mapping[str, str]) -> UpstreamError:
    """The error for a status other than 200 and those that are passed on. headers: any case-insensitive mapping."""
    said = f"The upstream of model `{model.name}` answered {status}"
    wait = retry_after(headers)
    if status == 429:
        return UpstreamRateLimited(f"{said}: its rate limit is reached.", retry_after=wait)
    if status in (401, 402, 403, 407):
        return UpstreamRefusedKey(f"{said}: it does not accept the gateway's key or account.")
    if status in (408, 504):
        return UpstreamTimeout(f"{said}: it ran out of time.", retry_after=wait)
    if 300 <= status < 400:
        return UpstreamBroken(f"{said}: redirects are not followed.")
    return UpstreamBroken(f"{said}.", retry_after=wait)


def error_in_answer(model: ModelSpec, error: Mapping[str, Any]) -> UpstreamError:
    """The error for an `error` object in a 200 or in a stream before its first content."""
    for name in ("code", "status", "status_code"):
        status = error.get(name)
        if status in (401, 402, 403, 408, 429, 504):
            return refusal(model, int(status), {})
    if error.get("code") in ("rate_limit_exceeded", "insufficient_quota"):
        return refusal(model, 429, {})
    return UpstreamBroken(f"The upstream of model `{model.name}` answered with an error instead of content.")


def patience(model: ModelSpec, *, stream: bool) -> float:
    """Seconds to wait for the first byte of an answer.

    A plain answer's first byte comes after its last token, so the default of `first_token`, which is meant for
    streams, would cut long ones off: plain answers are held to it only where the policy sets it.
    """
    times = model.timeouts
    if not stream and times.first_token == Timeouts().first_token:
        return times.total
    return min(times.first_token, times.total)


def ran_out(model: ModelSpec, which: str) -> UpstreamTimeout:
    """One of the four timeouts of the model; which: its name in the policy."""
    seconds = getattr(model.timeouts, which)
    return UpstreamTimeout(f"Model `{model.name}`: {which} timeout of {seconds:g} s ran out.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: `retry-after-ms` (OpenAI, Azure), or `retry-after` in seconds or as a date (RFC 9110 10.2.3)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - datetime.now(UTC)).total_seconds()
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
