"""The span of time that a report is about, as people write it: `7d`, `24h`, or an RFC 3339 time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from router.errors import BadRequest

DEFAULT_SINCE = "7d"

_UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"^(\d{1,6})([mhdw])$")
_SPAN = re.compile(r"^(\d{1,6})([smhdw])$")
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d\d:\d\d)$")


@dataclass(frozen=True, slots=True)
class Window:
    """since_unix <= t < until_unix, in seconds."""

    since_unix: float
    until_unix: float


def read_window(since: str | None = None, until: str | None = None, *, now_unix: float | None = None) -> Window:
    """The window of `since` (default 7d) and `until` (default now). Raises BadRequest naming the parameter."""
    now = time.time() if now_unix is None else now_unix
    start = read_moment(since or DEFAULT_SINCE, now, "since")
    end = read_moment(until, now, "until") if until else now
    if start > end:
        raise BadRequest(f"`since` ({timestamp(start)}) is after `until` ({timestamp(end)}).", param="since")
    return Window(start, end)


def read_moment(text: str, now_unix: float, param: str) -> float:
    """Unix seconds of `90m`, `24h`, `7d` or `2w` ago, or of an RFC 3339 time; a bare date is its midnight in UTC."""
    if ago := _AGO.match(text.strip()):
        return max(0.0, now_unix - int(ago[1]) * _UNIT_SECONDS[ago[2]])
    try:
        # `+` in a query string arrives as a space where the client did not escape it.
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text.strip()))
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is None and len(text.strip()) > len("2026-01-31")):
        raise BadRequest(
            f"`{param}` must be a span such as 90m, 24h, 7d or 2w, or an RFC 3339 time with its zone "
            f"such as 2026-01-31T08:00:00Z; it is {text[:60]!r}.",
            param=param,
        )
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_span(text: str, param: str) -> float:
    """Seconds of `30s`, `5m`, `24h`, `7d` or `2w`. Raises BadRequest naming the parameter."""
    found = _SPAN.match(text.strip())
    if found is None or int(found[1]) == 0:
        raise BadRequest(f"`{param}` must be a span such as 30s, 5m or 24h; it is {text[:60]!r}.", param=param)
    return float(int(found[1]) * {"s": 1, **_UNIT_SECONDS}[found[2]])


def timestamp(at_unix: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
