"""What a request says about the form of its answer: options to choose from, a number, a date, yes or no, JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from router.ask import user_text
from router.plans.short_numbers import without_latex
from router.plans.short_words import COPULAS, plain, short_text

READ_CHARACTERS = 8000
"""So much of a question's end is read; options and instructions stand there."""

_OPTION_LINE = re.compile(r"^[ \t]*[-*]?[ \t]*\**\(?([A-Ja-j])[.):][ \t]*\**[ \t]*(\S[^\n]{0,400})$", re.MULTILINE)
_OPTION_INLINE = re.compile(r"(?:^|[\s,;])\(?([A-Ja-j])\)[ \t]*([^\n,;()]{1,120}?)(?=[\s,;]+\(?[A-Ja-j]\)|[\n.;?]|$)")
_SENTENCE_END = re.compile(r"[.!?\n？。]")
_ASKS = frozenset(
    "what who where when which whats whos wheres whens was wer wo wann quel quelle qui cual quien".split()
)
_NUMBER = re.compile(
    r"how (?:many|much|long|old|far|tall|big|fast|often|high|deep|heavy)|"
    r"what (?:number|percentage|percent|fraction|age)|"
    r"calculate|compute|evaluate|solve for|the (?:number|sum|total|product|average|value|difference|remainder) of|"
    r"wie ?viele?|wie (?:lange|alt|hoch|weit)|berechne|combien|calcule|cu[aá]nt[oa]s?|quant[oiae]s?\b|"
    r"сколько|多少|几个|いくつ|"
    r"\d\s?[+*×÷^]\s?\d|\d\s[-−/]\s\d",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\bwhen\b|(?:what|which) (?:date|day|year|month)|\bwann\b|welche[sm]? (?:datum|jahr|tag)|"
    r"\bquand\b|quelle (?:date|année)|\bcu[aá]ndo\b|\bquando\b|когда|什么时候|哪一年|いつ",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(
    r"\b(?:yes or no|yes/no|true or false|true/false|ja oder nein|oui ou non|s[ií] o no|sim ou não)\b", re.IGNORECASE
)
_OPENS_YES_OR_NO = frozenset(
    "is are was were do does did can could will would should has have had am may must isnt arent doesnt dont "
    "ist sind war hat haben kann können darf est sont peut es son puede tiene hay".split()
)


class Question(Struct, frozen=True):
    """options: letter -> its text, made alike. subject: of `What is X?`, the words of X. only_yes_or_no: it says so."""

    options: Mapping[str, str] = {}
    subject: tuple[str, ...] = ()
    number: bool = False
    date: bool = False
    yes_or_no: bool = False
    only_yes_or_no: bool = False
    json: bool = False


def read_question(values: Mapping[str, Any]) -> Question:
    """The question of a checked chat body: its last user turn and its response format. Bounded time."""
    text = last_user_text(values)[-READ_CHARACTERS:]
    json = (values.get("response_format") or {}).get("type") in ("json_object", "json_schema")
    words = plain(_last_question(text)).split()
    chooses = " or " in f" {' '.join(words)} "
    says_so = _YES_OR_NO.search(text) is not None
    opens = bool(words) and words[0] in _OPENS_YES_OR_NO and not chooses
    return Question(
        options=_options(text),
        subject=_subject(words),
        number=_NUMBER.search(text[-2000:]) is not None,
        date=_DATE.search(text[-2000:]) is not None,
        yes_or_no=opens or says_so,
        only_yes_or_no=says_so,
        json=json,
    )


def last_user_text(values: Mapping[str, Any]) -> str:
    """The text of the last user turn that has any."""
    for message in reversed(values["messages"]):
        if message.get("role") == "user" and (text := user_text(message)):
            return text
    return ""


def _last_question(text: str) -> str:
    """The last sentence that ends with a question mark."""
    end = max(text.rfind("?"), text.rfind("？"))
    return _SENTENCE_END.split(text[max(0, end - 600) : end])[-1] if end > 0 else ""


def _options(text: str) -> dict[str, str]:
    """Those of the last list that begins with A and goes on without a gap; fewer than two are none."""
    for pattern in (_OPTION_LINE, _OPTION_INLINE):
        options: dict[str, str] = {}
        for letter, said in pattern.findall(text):
            letter = letter.upper()
            if letter == "A":
                options = {}
            if ord(letter) - ord("A") == len(options):
                options[letter] = short_text(without_latex(said))
        if len(options) > 1:
            return options
    return {}


def _subject(words: list[str]) -> tuple[str, ...]:
    if len(words) > 3 and words[0] in _ASKS and words[1] in COPULAS:
        return tuple(words[2:])
    if len(words) > 2 and words[0] in ("whats", "whos", "wheres", "whens"):
        return tuple(words[1:])
    return ()
