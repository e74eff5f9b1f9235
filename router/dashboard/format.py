"""How figures read on a page: money, counts, shares, durations and times. Plain functions, used as template filters.

Unknown is always a word, never a zero. What a figure exactly is stands beside it in the page's `<data value>`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from markupsafe import Markup, escape

from router.ledger.tally import dollars
from router.ledger.window import timestamp

UNKNOWN = "unknown"
NONE = "–"
_MINUS = "\N{MINUS SIGN}"
_SMALLEST_USD = 1e-9


def money(usd: float | None) -> str:
    """Dollars: `$1,204.50`, `$12.30`, `$0.0731`, `$0.0042`, `$0.0000018`; None is `unknown`."""
    if usd is None:
        return UNKNOWN
    amount, sign = abs(usd), _MINUS if usd < 0 else ""
    if amount < _SMALLEST_USD / 2:
        return "$0.00"
    if amount >= 0.995:
        return f"{sign}${amount:,.2f}"
    places = max(4, 1 - math.floor(math.log10(amount)))
    return f"{sign}${amount:.{places}f}"


def price(usd_per_million: float | None) -> str:
    """Dollars per million tokens: `$3.00`, `$0.075`; None is `unknown`."""
    if usd_per_million is None:
        return UNKNOWN
    whole, _, places = f"{usd_per_million:,.6f}".partition(".")
    return f"${whole}.{places.rstrip('0').ljust(2, '0')}"


def count(number: int | None) -> str:
    """`12,345`; None is a dash."""
    return NONE if number is None else f"{number:,}"


def share(part: float | None, whole: float | None) -> str:
    """Part of whole in percent: `43%`, `0.4%`, `<0.1%`, and 100% only where it is; a dash without a whole or a part."""
    if part is None or not whole:
        return NONE
    percent = 100 * part / whole
    size, sign = abs(percent), _MINUS if percent < 0 else ""
    if size == 0:
        return "0%"
    if size < 0.1:
        return f"{sign}<0.1%"
    if 99 < size < 100:
        return f"{sign}{math.floor(size * 10) / 10:g}%"
    return f"{sign}{size:,.0f}%" if size >= 9.95 else f"{sign}{round(size, 1):g}%"


def duration(milliseconds: float | None) -> str:
    """`0.42 ms`, `4.2 ms`, `420 ms`, `1.25 s`, `12.5 s`, `2 min 5 s`; None is a dash."""
    if milliseconds is None:
        return NONE
    for most, places in ((0.9995, 2), (99.95, 1), (999.5, 0)):
        if milliseconds < most:
            return f"{milliseconds:.{places}f} ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def score(value: float | None) -> str:
    """Shares and scores in 0..1: `0.87`; None is a dash."""
    return NONE if value is None else f"{value:z.2f}".replace("-", _MINUS)


def moment(unix: float) -> str:
    """`2026-11-21 08:40:23`, in UTC."""
    return _utc(unix).strftime("%Y-%m-%d %H:%M:%S")


def short_moment(unix: float) -> str:
    """`21 Nov 08:40:23`, in UTC, for tables."""
    at = _utc(unix)
    return f"{at.day} {at:%b %H:%M:%S}"


def short_id(request_id: str) -> str:
    """A request's id short enough for a table: how it begins, and the end that tells it from its neighbours."""
    return request_id if len(request_id) <= 20 else f"{request_id[:10]}…{request_id[-6:]}"


def usd(nano: int | None) -> float | None:
    """Nano-dollars as dollars; None stays None."""
    return None if nano is None else dollars(nano)


def ticked(text: str) -> Markup:
    """Plain text with `code` between backticks, as reasons write conditions and names."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


FILTERS = {
    "money": money,
    "price": price,
    "count": count,
    "share": share,
    "duration": duration,
    "score": score,
    "moment": moment,
    "short_moment": short_moment,
    "rfc3339": timestamp,
    "short_id": short_id,
    "ticked": ticked,
    "usd": usd,
}


def _utc(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
