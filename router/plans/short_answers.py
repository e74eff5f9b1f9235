"""The short answer that a text comes down to, in a form that can be compared; None where it is too long to be.

Choices, numbers, dates, yes and no, short texts, JSON, a line of code. A long text counts where it says which of its
words are the answer: `The answer is ...`, `\\boxed{...}`, `####`. What is doubtful is left apart: an agreement missed
costs one more call, one that is none costs a wrong answer. Pure; time is bounded whatever is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct, structs

from router.plans.short_dates import read_date
from router.plans.short_json import canonical_json, is_json
from router.plans.short_numbers import Number, numbers_in, read_number, same_number, without_latex
from router.plans.short_questions import Question
from router.plans.short_words import COPULAS, YES_OR_NO, length_in_words, plain, short_text

MOST_WORDS = 8
_SHORT_CHARACTERS = 400
_OPENED_CHARACTERS = 160
"""So long may an answer be that opens with yes or no, where more than that may have been asked."""
_LOOSE_WORDS = 3
"""Case and punctuation of longer texts count: they may be what was asked for."""
_TAIL_CHARACTERS = 4000
_JSON_CHARACTERS = 20_000
_CODE_CHARACTERS = 200

NO_QUESTION = Question()

_FENCE = re.compile(r"```[\w+-]{0,20}\n(.{1,20000}?)\n?```", re.DOTALL)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s?\{((?:[^{}]|\{(?:[^{}]|\{[^{}]{0,60}\}){0,60}\}){1,200})\}")
_TAGGED = re.compile(r"<(?:final_?)?answer>\s*([^<]{1,400}?)\s*</", re.IGNORECASE)
_STATED = re.compile(
    r"(?:####[ \t]*"
    r"|\b(?:answer|antwort|lösung|ergebnis|réponse|reponse|respuesta|risposta|resposta|antwoord)"
    r"(?:[ \t]+(?:to|auf|à|a)[ \t][^.:\n]{1,80}?)?\**[ \t]*"
    r"(?:\b(?:is|was|would be|lautet|ist|est|es|è|é)\b[ \t]*(?:option|choice|therefore)?[ \t]*[:：]?|[:：=])"
    r"|(?:ответ|答案|答え|정답)[ \t]*(?:是|は|[:：-])?)[ \t*_:]*\n?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[\w)\]]{4})[.!。](?=\s|$)|[.!。](?=\s*$)")
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*(?!\s*:)|__([^_\n]{1,120})__(?!\s*:)")
_LETTERS = re.compile(
    r"\W{0,4}(?:(?i:option|choice|answer)\W{1,3})?(?P<first>[A-Ja-j])(?P<more>(?:\s?(?:,|&|/|and|und|et|y)\s?[A-J]\b){0,9})"
    r"(?P<end>[).:\]]|\W{0,3}$|,?\s(?:because|since|as|is|—|-|–)\s|\s?[—–-]\s|\*\*)",
)
_EXPRESSION = re.compile(r"[+^=<>{}\[\]|\\;~]|\w\(|\s[-*/]\s|\d[-*/]\w|\w[-*/]\d")
_YEAR = re.compile(r"\b(?:1\d|20)\d\d\b")
_NUMBERS_JOINED = re.compile(r"\d[-/.–]\d")
_LISTED = re.compile(r"\W{0,4}\d{1,3}[.):]\s")
_OPENING = re.compile(r"\W{0,4}([^\W\d_]{1,12})")
_HEDGED = re.compile(
    r"\b(?:(?:in|year|since|until|step|option|question|chapter|page|version)\s+\d"
    r"|(?:more|less|fewer|over|under|above|below|at least|at most|up to|between|not|never|or|nearly|almost|if|mehr"
    r"|weniger|mindestens|höchstens|nicht|oder|fast|plus de|moins|presque|ou|más|menos|casi|o)\b)",
    re.IGNORECASE,
)
_AROUND_MARKS = re.compile(r"\s*([^\w\s])\s*")


class Short(Struct, frozen=True):
    """A short answer. value: its normal form; number: the same as a number, for kind `number`.

    `calls`: tool calls, which are made comparable in `router.plans.forms`.
    """

    kind: Literal["choice", "number", "date", "yes_no", "text", "json", "code", "calls"]
    value: str
    number: Number | None = None


def same(one: Short, other: Short) -> bool:
    """Whether two short answers say the same."""
    if one.kind != other.kind:
        return False
    if one.number is not None and other.number is not None:
        return same_number(one.number, other.number)
    return one.value == other.value


def short_answer(text: str, question: Question = NO_QUESTION) -> Short | None:
    """What this text comes down to, as an answer to the question."""
    text = text[text.rfind("</think>") + 8 :] if "</think>" in text else text
    text = text.strip()
    if not text:
        return None
    fenced = _FENCE.fullmatch(text)
    whole = fenced[1].strip() if fenced else text
    if whole[0] in "{[" and len(whole) <= _JSON_CHARACTERS and is_json(whole):
        canonical = canonical_json(whole, MOST_WORDS)
        return None if canonical is None else Short("json", canonical)
    if question.json:
        return None
    if fenced:
        return _code(whole)
    for said in _stated(text[-_TAIL_CHARACTERS:]):
        if (short := _short(said, question, stated=True)) is not None:
            return short
    is_short = len(text) <= _SHORT_CHARACTERS and length_in_words(text) <= MOST_WORDS
    if is_short and "\n" not in text and (short := _short(text, question)) is not None:
        return short
    between = _between_the_lines(text, question)
    return _short(text, question) if between is None and is_short else between


def _stated(tail: str) -> Iterator[str]:
    """What the text itself calls its answer, the last first."""
    for pattern in (_BOXED, _TAGGED):
        if found := pattern.findall(tail):
            yield found[-1]
            return
    marks = list(_STATED.finditer(tail))
    if marks:
        line = tail[marks[-1].end() :].lstrip().partition("\n")[0][:400]
        yield line
        if end := _SENTENCE_END.search(line):
            yield line[: end.start()]


def _short(said: str, question: Question, *, stated: bool = False) -> Short | None:
    """The normal form of a few words."""
    said = without_latex(_unmarked(said))
    if question.options and (letters := _chosen(said, question, stated=stated)):
        return Short("choice", letters)
    if length_in_words(said) > MOST_WORDS or not said:
        return None
    bare = said.rstrip(" .!。")
    if day := read_date(bare) or (question.date and _YEAR.fullmatch(bare) and bare):
        return Short("date", day)
    if (number := read_number(bare, any_unit=question.number)) is not None:
        return _of_number(number)
    if "=" in bare and (number := read_number(bare.rpartition("=")[2], any_unit=question.number)) is not None:
        return _of_number(number)
    words = plain(bare)
    if words in YES_OR_NO:
        return Short("yes_no", YES_OR_NO[words])
    if question.yes_or_no and (opening := _opening_yes_or_no(bare)):
        return Short("yes_no", opening)
    told = short_text(bare)
    for letter, option in question.options.items():
        if told == option:
            return Short("choice", letter)
    if (rest := _after_subject(words, question)) is not None:
        return _short(rest, structs.replace(question, subject=()))
    if question.date and (dates := _dates_in(bare)):
        return Short("date", dates[0]) if len(dates) == 1 else None
    if question.number and (number := _only_number(bare)) is not None:
        return _of_number(number)
    if _EXPRESSION.search(bare):
        return _code(bare)
    if len(told.split()) > _LOOSE_WORDS:
        return Short("text", " ".join(bare.split()))
    return Short("text", told) if told else None


def _between_the_lines(text: str, question: Question) -> Short | None:
    """A long answer that opens, or ends, with what was asked for."""
    lines = [line.strip() for line in text[:400].splitlines() if line.strip()]
    if question.options and lines:
        for line in (lines[0], text[-400:].rstrip().splitlines()[-1]):
            if letters := _chosen(_unmarked(line), question, stated=False):
                return Short("choice", letters)
    bound = len(text) if question.only_yes_or_no else _OPENED_CHARACTERS
    if question.yes_or_no and lines and len(text) <= bound and (opening := _opening_yes_or_no(lines[0])):
        return Short("yes_no", opening)
    last = text[-400:].rstrip().splitlines()[-1]
    if question.date and not question.number and len(dates := _dates_in(last)) == 1:
        return Short("date", dates[0])
    if question.number and not question.date:
        told = without_latex(_unmarked(last))
        if "=" in told and (last_one := read_number(told.rpartition("=")[2], any_unit=True)) is not None:
            return _of_number(last_one)
        number = None if "=" in told else _only_number(told)
        return None if number is None else _of_number(number)
    bold = [one or other for one, other in _BOLD.findall(text[:1000])]
    if len(bold) == 1 and length_in_words(text) <= 60 and not bold[0].rstrip().endswith(":"):
        return _short(bold[0], question)
    return None


def _chosen(said: str, question: Question, *, stated: bool) -> str | None:
    """The letters that a line begins with, of those there are to choose from."""
    match = _LETTERS.match(said[:200])
    if match is None:
        return None
    letters = {match["first"].upper(), *re.findall(r"\b[A-J]\b", match["more"])}
    if not letters <= question.options.keys():
        return None
    end = match["end"].strip()
    if match["first"].islower() and not (end[:1] in (")", ".", ":", "]") or not said[match.end() :].strip()):
        return None
    if match["first"] in "AI" and end in ("is", "as") and not stated:  # "A is ...", "I as ..." may be words
        return None
    return ",".join(sorted(letters))


def _after_subject(words: str, question: Question) -> str | None:
    """`the capital of france is paris` -> `paris`, where just that capital was asked for."""
    subject = " ".join(question.subject)
    if not subject or not words.startswith(f"{subject} "):
        return None
    copula, _, rest = words[len(subject) + 1 :].partition(" ")
    return rest if copula in COPULAS and rest else None


def _opening_yes_or_no(line: str) -> str | None:
    """`Yes, ...` and `**No.** ...`, but not `No one ...`."""
    opening = _OPENING.match(line)
    if opening is None:
        return None
    rest = line[opening.end(1) :].lstrip("*_ ")
    return YES_OR_NO.get(plain(opening[1])) if not rest or rest[0] in ",.!:;—–-，。" else None


def _only_number(text: str) -> Number | None:
    """The one number of a sentence that says nothing else of it."""
    if _LISTED.match(text) or text.rstrip("*_ ").endswith((":", "：")) or _HEDGED.search(text):
        return None
    numbers = numbers_in(text[:_SHORT_CHARACTERS], 2)
    return numbers[0] if len(numbers) == 1 else None


def _dates_in(text: str) -> list[str]:
    """The different dates of a short text; where it has none, its years."""
    words = text.split()[:60]
    found: list[str] = []
    at = 0
    while at < len(words):
        for length in (4, 3, 2, 1):
            day = read_date(" ".join(words[at : at + length]).strip(",;:()")) if at + length <= len(words) else None
            if day is not None:
                found.append(day)
                at += length - 1
                break
        at += 1
    if not found and not _NUMBERS_JOINED.search(text):
        found = _YEAR.findall(text[:_SHORT_CHARACTERS])
    return list(dict.fromkeys(found))


def _of_number(number: Number) -> Short:
    return Short("number", f"{number.value}{' ' + number.unit if number.unit else ''}", number)


def _unmarked(said: str) -> str:
    """Without the marks that only set words off."""
    return said.strip().strip('*_`"“”„«»').strip().removeprefix("#").strip()


def _code(said: str) -> Short | None:
    """Compared mark by mark; only white space that parts no words does not count."""
    if len(said) > _CODE_CHARACTERS:
        return None
    return Short("code", _AROUND_MARKS.sub(r"\1", " ".join(said.split())))
