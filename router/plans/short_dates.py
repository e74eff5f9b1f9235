"""Reads a date out of a short text: ISO, or as days and months are written in several languages. Never guesses.

`03/04/2024` may be March or April, so it is no date here; it only agrees with itself, as a text.
"""

from __future__ import annotations

import re
from datetime import date

from router.plans.short_numbers import ascii_digits
from router.plans.short_words import plain

_MONTHS = (
    "january jan januar janvier enero gennaio janeiro januari ene gen января",
    "february feb februar février fevrier febrero febbraio fevereiro februari fev fév февраля",
    "march mar märz maerz mars marzo março maart mrz марта",
    "april apr avril abril aprile avr abr апреля",
    "may mai mayo maggio maio mei мая",
    "june jun juni juin junio giugno junho июня",
    "july jul juli juillet julio luglio julho июля",
    "august aug août aout agosto augustus ago августа",
    "september sep sept septembre septiembre settembre setembro сентября",
    "october oct oktober octobre octubre ottobre outubro okt out октября",
    "november nov novembre noviembre novembro ноября",
    "december dec dezember décembre diciembre dicembre dezembro dez дек dic декабря",
)
_MONTH = {plain(name): number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}

_DAYS = frozenset(
    plain(name)
    for name in (
        "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun montag "
        "dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche "
        "lunes martes miércoles jueves viernes sábado domingo"
    ).split()
)
_PASSED_OVER = frozenset({"of", "on", "the", "de", "del", "am", "den", "le", "el", "in", "ad", "ce", "года", "г"})

_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:t\d\d:\d\d(?::\d\d)?(?:\.\d{1,9})?(?:z|[+-]\d\d:\d\d)?)?")
_EASTERN = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_NUMBERS = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|º|ª|o)?")


def read_date(text: str) -> str | None:
    """ISO 8601: `2024-03-05`, `2024-03` for a month, `--03-05` for a day of no year. None for all else."""
    if len(text) > 60:
        return None
    text = ascii_digits(text).strip(" .*_`").casefold()
    if match := _ISO.fullmatch(text) or _EASTERN.fullmatch(text):
        return _date(int(match[1]), int(match[2]), int(match[3]))
    if match := _NUMBERS.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if match[2] == "." or first > 12 or first == second:
            return _date(year, second, first)
        return _date(year, first, second) if second > 12 else None
    return _in_words(text)


def _in_words(text: str) -> str | None:
    """`5 March 2024`, `March 5th, 2024`, `5. März 2024`, `March 2024`, `5 March`."""
    words = [word for word in re.split(r"[\s,.]+", text) if word and word not in _PASSED_OVER]
    words = [word for word in words if plain(word) not in _DAYS]
    months = [number for word in words if (number := _MONTH.get(plain(word))) is not None]
    rest = [word for word in words if plain(word) not in _MONTH]
    if len(months) != 1 or not 1 <= len(rest) <= 2:
        return None
    year = next((int(word) for word in rest if re.fullmatch(r"\d{4}", word)), None)
    days = [int(match[1]) for word in rest if (match := _DAY.fullmatch(word))]
    if len(days) + (year is not None) != len(rest):
        return None
    if not days:
        return None if year is None else f"{year:04}-{months[0]:02}"
    if len(days) > 1 or not 1 <= days[0] <= 31:
        return None
    return f"--{months[0]:02}-{days[0]:02}" if year is None else _date(year, months[0], days[0])


def _date(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
