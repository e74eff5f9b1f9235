"""Numbers in an answer: that there is one where the question asks how many, in the unit it names, and that sums hold.

A question is only held to what it plainly says: the words that ask for a number, and units, are lists of our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

_MOST_CHARS = 20_000
_ASKS_CHARS = 2_000

_UNITS: Mapping[str, str] = {
    "length": "km kilometers kilometres kilometer kilometre kilomètres kilómetros quilômetros chilometri|"
    "m meters metres meter metre metros mètres|cm centimeters centimetres centimeter centimetre zentimeter|"
    "mm millimeters millimetres millimeter|mi mile miles meilen|ft foot feet fuß|inch inches zoll|yd yard yards",
    "mass": "kg kilograms kilogram kilos kilogramm|g grams gram gramm gramos grammes|lb lbs pounds|oz ounce ounces|"
    "t tonnes tons ton tonnen toneladas",
    "time": "s seconds second sec secs sekunden secondes segundos secondi|"
    "min mins minutes minute minuten minutos minuti|h hours hour hrs stunden heures horas ore|"
    "day days tage jours días dias giorni|week weeks wochen semaines semanas settimane|"
    "month months monate mois meses mesi|year years jahre ans años anos anni",
    "temperature": "°c celsius|°f fahrenheit|k kelvin",
    "money": "eur euro euros €|usd dollar dollars $|gbp £ sterling|yen jpy ¥|chf francs franken|inr rupees ₹",
    "share": "% percent percentage prozent pourcent pourcentage porcentaje porcento percento",
    "volume": "l liter liters litre litres litros litri|ml milliliters millilitres milliliter|gallon gallons gal",
    "energy": "j joules joule|kwh|kcal calories",
    "data": "kb kilobytes|mb megabytes|gb gigabytes|tb terabytes",
}
_SPELLINGS_OF: Mapping[str, frozenset[str]] = {
    spelling: frozenset(unit.split())
    for listed in _UNITS.values()
    for unit in listed.split("|")
    for spelling in unit.split()
}
_AMBIGUOUS = frozenset("m g s h t k l j min mi oz ore ans kilo sec second minute foot ton calories".split())
"""Too short, or too common as another word, to be what a question demands; in an answer they count."""

_ASKS_COUNT = re.compile(
    r"\b(?:how many|what percentage|what per ?cent|wie ?viele|wie ?viel prozent|combien de|quel pourcentage|"
    r"cuánt[oa]s|qué porcentaje|quant[ei]|quant[oa]s|hoeveel)\b"
)
_ASKS_SIZE = re.compile(
    r"\b(?:how (?:much|far|long|tall|high|deep|wide|heavy|old|big|fast|large|hot|cold)|what is the|what's the|convert|"
    r"calculate|wie ?viel|wie (?:weit|lang|hoch|tief|breit|schwer|alt|groß|schnell)|combien|quelle est|cuánt[oa]|"
    r"cuál es|quant[oa]|qual è|qual é|hoe (?:ver|lang|hoog|diep|zwaar|oud|groot|snel))\b"
)
_DEMANDS = re.compile(
    r"\b(?:in|en|em) (?P<unit>[^\W\d_]{1,14}|[°][cf]|[€$£¥₹%])"
    r"(?=\s{0,3}(?:[?.,!;:)\n]|\Z|(?:and|is|are|was|does|do|did|from|to|between|for|und|ist|et|y|e)\b))"
)
_ASKS_PERCENT = re.compile(r"\b(?:what percentage|what per ?cent|quel pourcentage|qué porcentaje|wie ?viel prozent)\b")
_NUMBER_WORDS = re.compile(
    r"\b(?:none|no|nobody|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|half|hundred|thousand|"
    r"million|billion|infinite(?:ly)?|once|twice|several|many|few|all|both|free|nothing|nichts|rien|nada|niente|kein\w*|null|ein\w*|zwei|drei|vier|fünf|sechs|"
    r"sieben|acht|neun|zehn|viele|aucun\w*|un|une|deux|trois|quatre|cinq|sept|huit|neuf|dix|ningun[oa]?|cero|una?|uno|"
    r"dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|nessun\w*|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|"
    r"nenhum\w*|dois|duas|três|oito|dez|geen|twee|drie|vijf|zes|zeven|negen|tien)\b"
)
_BARE_LETTERS = 6
_UNIT_WORD = re.compile(r"°[cf]\b|[€$£¥₹%]|(?<![^\W\d_])[^\W\d_]{1,14}(?![^\W\d_])")

_NUMBER = r"-?\d{1,15}(?:[.,]\d{1,12}){0,4}"
_SUM = re.compile(
    rf"(?<![\w.,)\]}}])(?P<a>{_NUMBER})\s{{0,3}}(?P<op>[+*×·⋅÷/−–-]|(?<=\s)x(?=\s)|\\times|\\cdot|\\div)\s{{0,3}}"
    rf"(?P<b>{_NUMBER})\s{{0,3}}=\s{{0,3}}(?P<c>{_NUMBER})(?![\w.,]*\d|\w)"
)
_GOES_ON = re.compile(r"\s{0,3}(?:[+*×·⋅÷/−–^(-]|\\times|\\cdot|\\div|e\d|!)")
_OPERAND = re.compile(r"(?:[\d)\]]|\b[a-z])\s*$", re.IGNORECASE)
_OPERATOR_BEFORE = "+-*×·⋅÷/−–^(%!√"
_OTHER_ARITHMETIC = re.compile(
    r"\b(?:mod|modulo|binary|hex|octal|base \d|base-\d|boolean|xor|string|concatenat\w*|≡)\b"
)
_DENIED = re.compile(r"\b(?:not|wrong|false|incorrect|isn't|instead|falsch|nicht|faux|falso|incorrecto)\b")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*+`?", re.DOTALL)
_GROUPED = re.compile(r"-?\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")


def amiss(text: str, question: str) -> str | None:
    """Why the numbers of an answer cannot be right: none, another unit than was demanded, a sum that is false."""
    question, said = question[-_MOST_CHARS:], text[:_MOST_CHARS]
    asked = question[-_ASKS_CHARS:].casefold()
    counted = _ASKS_COUNT.search(asked) is not None
    if counted or _ASKS_SIZE.search(asked):
        unit, lower = _demanded(asked), said.casefold()
        has_digits = any(char.isnumeric() for char in lower)
        if (counted or unit is not None) and not has_digits and not _NUMBER_WORDS.search(lower):
            return "a number was asked for and there is none"
        if has_digits and unit is not None and not _names(lower, unit):
            return "the answer is not in the unit that was asked for"
    if _OTHER_ARITHMETIC.search(asked):
        return None
    return "a sum in the answer is false" if any(_false_sums(said, question)) else None


def _demanded(asked: str) -> str | None:
    """The unit that a question wants its number in; None where it names none plainly."""
    if _ASKS_PERCENT.search(asked):
        return "%"
    for match in _DEMANDS.finditer(asked):
        unit = match["unit"]
        if unit in _SPELLINGS_OF and unit not in _AMBIGUOUS:
            return unit
    return None


def _names(said: str, unit: str) -> bool:
    """Whether an answer is in the unit: it stands there, or the answer is a number alone."""
    words = {match[0] for match in _UNIT_WORD.finditer(said)}
    if words & _SPELLINGS_OF[unit]:
        return True
    return sum(map(str.isalpha, said)) <= _BARE_LETTERS and not words & _SPELLINGS_OF.keys()


def _false_sums(text: str, question: str) -> Iterator[str]:
    """Statements like `12 * 7 = 85`, outside code, that are false however their numbers are read."""
    bare = _CODE.sub(" ", text)
    lower = bare.casefold()
    if "=" not in bare or _OTHER_ARITHMETIC.search(lower):
        return
    for match in _SUM.finditer(bare):
        ahead = bare[max(0, match.start() - 8) : match.start()]
        before = ahead.rstrip()[-1:]
        takes_away = match["a"].startswith("-") and _OPERAND.search(ahead)  # a minus, not a sign
        if takes_away or (before and before in _OPERATOR_BEFORE) or _GOES_ON.match(bare, match.end()):
            continue
        if match[0] in question or _DENIED.search(lower, max(0, match.start() - 60), match.end() + 60):
            continue
        if not _holds(match["a"], match["op"], match["b"], match["c"]):
            yield match[0]


def _holds(a: str, op: str, b: str, c: str) -> bool:
    """Whether a sum is right under any reading of its numbers, to the digits that its result is written with."""
    lefts, rights, results = _readings(a), _readings(b), _readings(c)
    if not (lefts and rights and results):
        return True
    for left, _ in lefts:
        for right, _ in rights:
            exact = _result(left, op, right)
            if exact is None:
                return True
            for value, places in results:
                rounded = places or exact.denominator != 1
                if exact == value or (rounded and abs(exact - value) < Fraction(1, 10**places)):
                    return True
    return False


def _result(left: Fraction, op: str, right: Fraction) -> Fraction | None:
    if op == "+":
        return left + right
    if op in "−–-":
        return left - right
    if op in ("*", "×", "·", "⋅", "x", "\\times", "\\cdot"):
        return left * right
    return left / right if right else None


def _readings(number: str) -> list[tuple[Fraction, int]]:
    """What a number may mean, with its decimals: `1,234` is one thousand and more, or one and a bit."""
    found: list[tuple[Fraction, int]] = []
    sign, digits = (-1, number[1:]) if number.startswith("-") else (1, number)
    marks = [char for char in digits if char in ".,"]
    if not marks:
        return [(Fraction(sign * int(digits)), 0)]
    if len(marks) == 1:
        whole, decimals = re.split("[.,]", digits)
        found.append((sign * Fraction(f"{whole}.{decimals}"), len(decimals)))
    if _GROUPED.fullmatch(digits):
        last = max(digits.rfind("."), digits.rfind(","))
        if len(set(marks)) == 1:
            found.append((Fraction(sign * int(re.sub("[.,]", "", digits))), 0))
        else:
            whole, decimals = re.sub("[.,]", "", digits[:last]), digits[last + 1 :]
            found.append((sign * Fraction(f"{whole}.{decimals}"), len(decimals)))
    return found
