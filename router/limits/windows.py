"""The windows that limits are counted in: the last minute in slots, and days and months of the UTC calendar.

A minute is counted in slots of five seconds, the oldest of them whole: never more than the limit within any 60
seconds, and what was used comes back at most five seconds late. Times are in milliseconds since 1970, as Redis has it.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

SLOT_MS: Final = 5_000
SLOTS: Final = 13
"""Twelve make a minute, and one more for that of which a part lies in it."""
MINUTE_KEPT_MS: Final = (SLOTS + 1) * SLOT_MS
DAY_MS: Final = 86_400_000
IN_FLIGHT_WAIT_MS: Final = 1_000
"""What a caller is told to wait where only requests still under way stand against it."""

_EPOCH: Final = date(1970, 1, 1)


def slot_of(now_ms: int) -> int:
    """The number of the slot that a moment lies in."""
    return now_ms // SLOT_MS


def day_of(now_ms: int) -> int:
    """Days since 1970."""
    return now_ms // DAY_MS


def month_of(now_ms: int) -> int:
    """Months since the year 0."""
    return _month_of_day(now_ms // DAY_MS)


@lru_cache(maxsize=8)
def _month_of_day(day: int) -> int:
    moment = _EPOCH + timedelta(days=day)
    return moment.year * 12 + moment.month - 1


def day_ends_ms(now_ms: int) -> int:
    """Milliseconds to the next midnight in UTC."""
    return (day_of(now_ms) + 1) * DAY_MS - now_ms


def month_ends_ms(now_ms: int) -> int:
    """Milliseconds to the first of the next month in UTC."""
    year, month = divmod(month_of(now_ms) + 1, 12)
    return (date(year, month + 1, 1) - _EPOCH) // timedelta(days=1) * DAY_MS - now_ms


def month_began_ms(now_ms: int) -> int:
    """The moment that the month began in UTC."""
    year, month = divmod(month_of(now_ms), 12)
    return (date(year, month + 1, 1) - _EPOCH) // timedelta(days=1) * DAY_MS
