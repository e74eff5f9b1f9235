"""What a condition can be seen to ask for without running it: bounds on numbers, words it compares with, flags.

A condition becomes its alternatives (`||`), each a set of demands that must all hold (`&&`). What is none of the plain
shapes below is kept as text, of which only this is known: the same text asks for the same. So "can never hold" and
"holds wherever that one does" are only said where they are certain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

INF = math.inf
_WHOLE = ("ask.input_tokens", "ask.output_tokens", "ask.chars", "ask.turns", "ask.tools", "ask.images")
_SHARES = ("complexity", "support", "budget.used")


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number between two bounds. open_low, open_high: whether the bound itself is out."""

    name: str
    low: float = -INF
    high: float = INF
    open_low: bool = False
    open_high: bool = False

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.open_low or self.open_high))

    def within(self, other: Bounds) -> bool:
        """Whether whatever is in these bounds is in the others too."""
        low = self.low > other.low or (self.low == other.low and (self.open_low or not other.open_low))
        high = self.high < other.high or (self.high == other.high and (self.open_high or not other.open_high))
        return low and high

    def met(self, other: Bounds) -> Bounds:
        """What is in both."""
        low, open_low = max((self.low, self.open_low), (other.low, other.open_low))
        high, closed = min((self.high, not self.open_high), (other.high, not other.open_high))
        return Bounds(self.name, low, high, open_low, not closed)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A word that must be one of these (wanted), or none of them."""

    name: str
    words: frozenset[str]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Holds:
    """A list that must hold a word, or must not; or a flag (`word` is None) that must be set, or must not."""

    name: str
    word: str | None
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else, by its text."""

    text: str


Demand = Bounds | OneOf | Holds | Other | bool
Together = tuple[Demand, ...]

_MEMBER = r"(?:\.\w+|\[\s*(?:'[^']*'|\"[^\"]*\")\s*\])"
_SINGLE = r"ask\.\w+|budget\.used|complexity|gain|support|hour|weekday|tenant|size\(\s*ask\.private\s*\)"
_PATH = rf"(?:{_SINGLE}|(?:quality|cost){_MEMBER})"
_NUMBER = r"-?\d+(?:\.\d+)?"
_STRING = r"'[^'\\]*'|\"[^\"\\]*\""
_COMPARES = re.compile(rf"({_PATH})\s*(<=|>=|<|>|==)\s*({_NUMBER})")
_COMPARED = re.compile(rf"({_NUMBER})\s*(<=|>=|<|>|==)\s*({_PATH})")
_IS = re.compile(rf"({_PATH})\s*(==|!=)\s*({_STRING})")
_IS_AMONG = re.compile(rf"({_PATH})\s+in\s+\[((?:\s*(?:{_STRING})\s*,?)+)\]")
_HAS = re.compile(rf"(!?)\s*\(?\s*({_STRING})\s+in\s+(ask\.private|key\.tags|headers)\s*\)?")
_FLAG = re.compile(r"(!?)\s*ask\.(housekeeping|json_schema)")
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "=="}


@lru_cache(maxsize=2048)
def alternatives(source: str | None) -> tuple[Together, ...]:
    """What a condition asks for; one alternative without demands for no condition."""
    if source is None:
        return ((),)
    return tuple(
        tuple(_demand(part) for part in _split(alternative, "&&")) for alternative in _split(_bare(source), "||")
    )


def impossible(source: str | None) -> str | None:
    """Why a condition can never hold; None where it may."""
    reasons = [_clash(together) for together in alternatives(source)]
    return None if any(reason is None for reason in reasons) else next(filter(None, reasons), None)


def always(source: str | None) -> bool:
    """Whether a condition holds for every ask there can be."""
    return any(all(_given(demand) for demand in together) for together in alternatives(source))


def covers(earlier: str | None, later: str | None) -> bool:
    """Whether the earlier condition holds wherever the later one does."""
    if earlier == later:
        return True
    can = [together for together in alternatives(later) if _clash(together) is None]
    return bool(can) and all(any(_follows(wide, _merged(narrow)) for wide in alternatives(earlier)) for narrow in can)


def demands_of(source: str | None) -> tuple[Together, ...]:
    """The alternatives that can hold, each with its bounds merged and without what always holds."""
    return tuple(
        tuple(demand for demand in _merged(together) if not _given(demand))
        for together in alternatives(source)
        if _clash(together) is None
    )


def asks_for(source: str | None, name: str) -> bool:
    """Whether every ask that a condition holds for has some of `name` (private text, tools, images, a schema)."""
    found = demands_of(source)
    return bool(found) and all(any(_has(demand, name) for demand in together) for together in found)


def least(source: str | None, name: str) -> float:
    """The least that a number can be where the condition holds; minus infinity where nothing is known."""
    lows = [
        max((demand.low for demand in together if isinstance(demand, Bounds) and demand.name == name), default=-INF)
        for together in demands_of(source)
    ]
    return min(lows, default=-INF)


def words_asked(source: str | None) -> Iterator[tuple[str, str]]:
    """(name, word) of every comparison with a word."""
    for together in alternatives(source):
        for demand in together:
            if isinstance(demand, OneOf):
                yield from ((demand.name, word) for word in sorted(demand.words))
            elif isinstance(demand, Holds) and demand.word is not None:
                yield demand.name, demand.word


# --- one condition --------------------------------------------------------------------------------------------------


def _split(source: str, sign: str) -> list[str]:
    """The parts between a sign that stands outside brackets and strings; a ternary is one part."""
    parts, depth, start, position, quote = [], 0, 0, 0, ""
    while position < len(source):
        char = source[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "?" and depth == 0:
            return [source.strip()]
        elif depth == 0 and source.startswith(sign, position):
            parts.append(source[start:position])
            position += len(sign)
            start = position
            continue
        position += 1
    return [_bare(part) for part in (*parts, source[start:])]


def _bare(text: str) -> str:
    """Without brackets around the whole and with single spaces outside strings."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and _closes_last(text):
        text = text[1:-1].strip()
    return text


def _closes_last(text: str) -> bool:
    depth, quote = 0, ""
    for position, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += (char == "(") - (char == ")")
            if depth == 0:
                return position == len(text) - 1
    return False


def _demand(text: str) -> Demand:
    if text in ("true", "false"):
        return text == "true"
    if match := _COMPARES.fullmatch(text):
        return _bounds(_named(match[1]), match[2], float(match[3]))
    if match := _COMPARED.fullmatch(text):
        return _bounds(_named(match[3]), _TURNED[match[2]], float(match[1]))
    if match := _IS.fullmatch(text):
        return OneOf(_named(match[1]), frozenset([match[3][1:-1]]), match[2] == "==")
    if match := _IS_AMONG.fullmatch(text):
        return OneOf(_named(match[1]), frozenset(word[1:-1] for word in re.findall(_STRING, match[2])))
    if match := _HAS.fullmatch(text):
        return Holds(match[3], match[2][1:-1], not match[1])
    if match := _FLAG.fullmatch(text):
        return Holds(f"ask.{match[2]}", None, not match[1])
    return Other(re.sub(r"\s+", " ", text))


def _named(path: str) -> str:
    """One spelling for each name: `quality['m']` is `quality.m`."""
    path = re.sub(r"\s+", "", path)
    if match := re.fullmatch(r"(quality|cost)\[['\"](.*)['\"]\]", path):
        return f"{match[1]}.{match[2]}"
    return path


def _bounds(name: str, sign: str, bound: float) -> Bounds:
    if sign == "==":
        return Bounds(name, bound, bound)
    if sign in ("<", "<="):
        return _whole(Bounds(name, high=bound, open_high=sign == "<"))
    return _whole(Bounds(name, low=bound, open_low=sign == ">"))


def _whole(bounds: Bounds) -> Bounds:
    """Of what is counted, `> 0` is `>= 1`."""
    if not _is_counted(bounds.name):
        return bounds
    low, high = bounds.low, bounds.high
    if low > -INF:
        low = math.floor(low) + 1 if bounds.open_low else math.ceil(low)
    if high < INF:
        high = math.ceil(high) - 1 if bounds.open_high else math.floor(high)
    return Bounds(bounds.name, low, high)


def _is_counted(name: str) -> bool:
    return name in (*_WHOLE, "hour", "weekday", "size(ask.private)")


def _domain(name: str) -> Bounds:
    """All that a number can be."""
    if name in _SHARES or name.startswith("quality."):
        return Bounds(name, 0, 1)
    if name == "gain":
        return Bounds(name, -1, 1)
    if name in ("hour", "weekday"):
        return Bounds(name, 0 if name == "hour" else 1, 23 if name == "hour" else 7)
    return Bounds(name, 0) if _is_counted(name) or name.startswith("cost.") else Bounds(name)


# --- several demands at once ----------------------------------------------------------------------------------------


def _merged(together: Iterable[Demand]) -> Together:
    """The demands with all bounds on one number made one, within what the number can be."""
    bounds: dict[str, Bounds] = {}
    others: list[Demand] = []
    for demand in together:
        if isinstance(demand, Bounds):
            bounds[demand.name] = bounds.get(demand.name, _domain(demand.name)).met(demand)
        else:
            others.append(demand)
    return (*bounds.values(), *others)


def _clash(together: Together) -> str | None:
    """Why some demands can never hold at once."""
    wanted: dict[str, frozenset[str]] = {}
    held: dict[tuple[str, str | None], bool] = {}
    for demand in _merged(together):
        if demand is False:
            return "`false` never holds"
        if isinstance(demand, Bounds) and demand.empty:
            return f"no `{demand.name}` is within these bounds"
        if isinstance(demand, OneOf) and demand.wanted:
            words = wanted.get(demand.name, demand.words) & demand.words
            if not words:
                return f"`{demand.name}` cannot be several words at once"
            wanted[demand.name] = words
        if isinstance(demand, Holds) and held.setdefault((demand.name, demand.word), demand.wanted) != demand.wanted:
            return f"`{demand.name}` is asked for and ruled out"
    for demand in together:
        if isinstance(demand, OneOf) and not demand.wanted and wanted.get(demand.name, demand.words) < demand.words:
            return f"`{demand.name}` is asked for and ruled out"
        if isinstance(demand, OneOf) and not demand.wanted and wanted.get(demand.name) == demand.words:
            return f"`{demand.name}` is asked for and ruled out"
    return None


def _given(demand: Demand) -> bool:
    """Whether a demand holds for every ask."""
    return demand is True or (isinstance(demand, Bounds) and _domain(demand.name).within(demand))


def _follows(wide: Together, narrow: Together) -> bool:
    """Whether all of `wide` holds where all of `narrow` does."""
    return all(_given(demand) or any(_implies(one, demand) for one in narrow) for demand in wide)


def _implies(one: Demand, other: Demand) -> bool:
    if one == other:
        return True
    if isinstance(one, Bounds) and isinstance(other, Bounds):
        return one.name == other.name and one.within(other)
    if isinstance(one, OneOf) and isinstance(other, OneOf) and one.name == other.name and one.wanted:
        return one.words <= other.words if other.wanted else not one.words & other.words
    if isinstance(one, Holds) and isinstance(other, Bounds):  # a kind of private text is some private text
        some = one.name == "ask.private" and one.wanted and other.name == "size(ask.private)"
        return some and Bounds(other.name, 1).within(other)
    return False


def _has(demand: Demand, name: str) -> bool:
    if isinstance(demand, Bounds):
        return demand.name in (name, f"size({name})") and demand.low > 0
    return isinstance(demand, Holds) and demand.name == name and demand.wanted
