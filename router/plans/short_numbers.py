"""Reads a number out of a short text, as people and models write them, and says whether two of them are the same.

Exact arithmetic: a third is a third. Takes thousands marks of several countries, fractions, percent, powers of ten,
LaTeX, words up to ninety-nine, and a unit behind the number.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from msgspec import Struct

from router.plans.short_words import NUMBER_WORDS, plain

_MOST_DIGITS = 60
_MOST_POWER = 100
_MOST_UNIT_WORDS = 3

_THOUSANDS = r"[,.\u00a0\u202f\u2009 '’_]"
_DIGITS = (
    rf"(?:\d{{1,3}}(?:{_THOUSANDS}\d{{2,3}}){{0,12}}{_THOUSANDS}\d{{3}}(?!\d)(?:[.,]\d{{1,40}})?"
    r"|\d{1,60}(?:[.,]\d{1,40})?|[.,]\d{1,40})"
)
_POWER = r"(?:e(?P<e>[+-]?\d{1,3})(?!\w)|\s?(?:[x*·×]|times)\s?10\s?(?:\^|\*\*)\s?(?P<ten>[+-]?\d{1,3}))"
_BEFORE = (
    r"(?:about|around|approximately|approx\.?|roughly|circa|ca\.?|exactly|etwa|ungefähr|environ|aproximadamente|"
    r"~|≈|=|\$|€|£|¥|₹|usd|eur|us\$)\s?"
)
_NUMBER = re.compile(
    rf"(?:{_BEFORE}){{0,3}}(?P<sign>[-+−–]?)\s?(?:{_BEFORE}){{0,2}}"
    rf"(?P<whole>{_DIGITS})(?:(?:\s(?P<above>\d{{1,9}}))?\s?[/⁄]\s?(?P<below>\d{{1,9}}))?(?:{_POWER})?",
    re.IGNORECASE,
)
_GROUPED = re.compile(rf"\d{{1,3}}({_THOUSANDS})\d")

_SCALES = {
    "thousand": 10**3, "k": 10**3, "tausend": 10**3, "mille": 10**3, "mil": 10**3,
    "million": 10**6, "millions": 10**6, "mio": 10**6, "millionen": 10**6, "mn": 10**6,
    "billion": 10**9, "billions": 10**9, "bn": 10**9, "milliarde": 10**9, "milliarden": 10**9, "milliards": 10**9,
    "trillion": 10**12, "trillions": 10**12,
}  # fmt: skip

_UNIT_NAMES = {
    "%": "% percent pct prozent procent pourcent porcento",
    "m": "m meter meters metre metres mètres metros metri",
    "km": "km kilometer kilometers kilometre kilometres kilomètres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "mi": "mi mile miles",
    "ft": "ft foot feet",
    "in": "inch inches",
    "g": "g gram grams gramm",
    "kg": "kg kilogram kilograms kilo kilos",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds",
    "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "s": "s sec second seconds sekunden secondes segundos",
    "ms": "ms millisecond milliseconds",
    "min": "min mins minute minutes minuten minutos",
    "h": "h hr hrs hour hours stunden heures horas",
    "d": "d day days tage tag jours días dias",
    "week": "week weeks wochen semaines semanas",
    "month": "month months monate mois meses",
    "year": "year years yr yrs jahre ans años anni anos",
    "$": "$ usd dollar dollars",
    "€": "€ eur euro euros",
    "£": "£ gbp",
    "¢": "¢ cent cents",
    "°c": "°c celsius",
    "°f": "°f fahrenheit",
    "°": "° degree degrees grad",
    "km/h": "km/h kmh kph",
    "mph": "mph",
    "m/s": "m/s",
}
_UNITS = {plain(name) or name: unit for unit, names in _UNIT_NAMES.items() for name in names.split()}

_LATEX = (
    (re.compile(r"\\[dt]?frac\s?\{\s?(-?\d{1,9})\s?\}\s?\{\s?(\d{1,9})\s?\}"), r"\1/\2"),
    (re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)"), r"\1/\2"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s?\{([^{}]{0,80})\}"), r" \1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\(?:times|cdot)"), "x"),
    (re.compile(r"\^\{([+-]?\d{1,3})\}"), r"^\1"),
    (re.compile(r"\^\{?\\circ\}?"), "°"),
    (re.compile(r"\\[,;!: ]|\\(?:left|right|quad)"), " "),
    (re.compile(r"\\([%$#&_])"), r"\1"),
    (re.compile(r"\\[()\[\]]"), ""),
)


class Number(Struct, frozen=True):
    """value: exact. decimals: digits behind the point as it was written; None for a fraction. unit: None if unsaid."""

    value: Fraction
    decimals: int | None = 0
    unit: str | None = None


def without_latex(text: str) -> str:
    """The commonest marks of LaTeX in plain characters."""
    if "\\" in text or "{" in text:
        for pattern, plainly in _LATEX:
            text = pattern.sub(plainly, text)
    if text.count("$") >= 2 and text.startswith("$") and text.rstrip(". ").endswith("$"):
        text = text.rstrip(". ").strip("$")
    return text


def read_number(text: str, *, any_unit: bool = False) -> Number | None:
    """The number that this text is: a number, perhaps with a unit, and nothing else.

    any_unit: whether words that are no known unit may follow (`12 apples`), as where a number was asked for.
    """
    text = ascii_digits(text.strip().strip("*_`").rstrip(" .!。").strip("*_` "))
    if not text or len(text) > 200:
        return None
    if (word := NUMBER_WORDS.get(plain(text))) is not None:
        return Number(Fraction(word))
    match = _NUMBER.match(text)
    if match is None:
        first, _, rest = plain(text).partition(" ")
        value = NUMBER_WORDS.get(first)
        return _with_unit(Number(Fraction(value)), rest, any_unit=any_unit) if value is not None and rest else None
    number = _value(match)
    if number is None:
        return None
    before, after = text[: match.start("whole")], text[match.end() :]
    if "$" in before or "usd" in before.lower():
        number = Number(number.value, number.decimals, "$")
    elif currency := next((sign for sign in "€£" if sign in before), None):
        number = Number(number.value, number.decimals, currency)
    if after.lstrip().startswith("(") and after.rstrip().endswith(")"):  # 42 (forty-two)
        after = ""
    if after and (after[0].isdigit() or after[0] in "/:-–^"):  # 3-5, 10:30, 2024-01-02
        return None
    return _with_unit(number, after, any_unit=any_unit)


def numbers_in(text: str, most: int) -> list[Number]:
    """The numbers that stand in a text, up to so many."""
    found: list[Number] = []
    text = ascii_digits(text)
    for match in _NUMBER.finditer(text):
        start = match.start("whole")
        if start and text[start - 1].isalnum():
            continue
        if (number := _value(match)) is not None:
            found.append(number)
        if len(found) == most:
            break
    return found


def same_number(one: Number, other: Number) -> bool:
    """Whether both stand for the same: exactly, or the one as the other's rounding; no two different units."""
    if one.unit is not None and other.unit is not None and one.unit != other.unit:
        return False
    if one.value == other.value:
        return True
    return _rounds_to(one, other) or _rounds_to(other, one)


def ascii_digits(text: str) -> str:
    """A text with full-width, Arabic-Indic and other digits as 0 to 9, and `½` as ` 1/2`."""
    if text.isascii():
        return text
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", text)
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("−", "-").replace("٫", ".").replace("٬", ",")
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _value(match: re.Match[str]) -> Number | None:
    digits, mark = match["whole"], None
    if grouped := _GROUPED.match(digits):
        mark = grouped[1]
        if mark in ",." and not _is_grouped(digits, mark):
            mark = None
    if mark is not None:
        digits = digits.replace(mark, "")
    digits = digits.replace(",", ".")
    if digits.count(".") > 1 or len(digits) > _MOST_DIGITS:
        return None
    try:
        value = Fraction(Decimal(digits))
    except InvalidOperation:
        return None
    decimals: int | None = len(digits.partition(".")[2])
    if below := match["below"]:
        if int(below) == 0:
            return None
        above = match["above"]
        value = value + Fraction(int(above), int(below)) if above else value / int(below)
        decimals = None
    if (power := match["e"] or match["ten"]) is not None:
        if abs(int(power)) > _MOST_POWER:
            return None
        value *= Fraction(10) ** int(power)
        decimals = None if decimals is None else max(0, decimals - int(power))
    return Number(-value if match["sign"] in ("-", "−", "–") and match["sign"] else value, decimals)


def _is_grouped(digits: str, mark: str) -> bool:
    """Whether a comma or point parts thousands: `1,234` does, `1.234` does not, `1.234.567` and `1.234,5` do."""
    groups = digits.split(mark)
    last = groups[-1]
    whole_last = last.partition("." if mark == "," else ",")[0]
    if len(whole_last) != 3 or groups[0] == "0":
        return False
    return mark == "," or len(groups) > 2 or whole_last != last


def _with_unit(number: Number, after: str, *, any_unit: bool) -> Number | None:
    words = plain(after).split() if after.strip() else []
    if not words and after.strip(" .!%°"):
        return None
    if not words and "%" in after:
        words = ["%"]
    value, decimals, unit = number.value, number.decimals, number.unit
    if words and words[0] in _SCALES:
        value, decimals = value * _SCALES[words.pop(0)], None
    if words and (named := _UNITS.get(words[0])) is not None:
        unit = named
        words = words[1:]
    if words and (not any_unit or len(words) > _MOST_UNIT_WORDS or any(char.isdigit() for char in after)):
        return None
    return Number(value, decimals, unit)


def _rounds_to(exact: Number, rounded: Number) -> bool:
    """Whether `rounded` is `exact` with fewer digits, but enough to tell: two behind the point, or three."""
    places = rounded.decimals
    if not places or (exact.decimals is not None and exact.decimals <= places):
        return False
    if places < 2 and abs(rounded.value) < 10:
        return False
    step = Fraction(1, 10**places)
    return abs(exact.value - rounded.value) * 2 <= step
