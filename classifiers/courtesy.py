"""Takes away what stands around an ask and says nothing of how hard it is: greeting, thanks, frames, capitals.

Only where an ask is left without it; a greeting or thanks alone is an ask too. Costs some microseconds.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from classifiers.contract import AskText

_LOOK: Final = 140
"""Characters at either end in which courtesies are looked for."""
_FEWEST_WORDS: Final = 4
_FEWEST_FAR: Final = 8
"""What must be left: so many words, or characters where no spaces are written."""

_GREETING: Final = (
    r"(?:hi|hello|hey|hiya|greetings|dear (?:all|team|assistant|sir or madam)|good (?:morning|afternoon|evening|day)"
    r"|hallo|guten (?:tag|morgen|abend)|bonjour|bonsoir|salut|hola|buenos días|buenas tardes|ciao|buongiorno|olá"
    r"|bom dia)(?: there| everyone| all| team| again)?"
)
_WISH: Final = r"(?:i )?hope (?:you|this|all)[^.!?\n]{0,50}[.!?]"
_OPENING: Final = (
    r"(?:(?:(?:could|can|would|will) you|i(?: would|'d)(?: really| very much)?"
    r" (?:like|love|appreciate|be(?: very)? grateful for)|i need|help)[^.!?:\n]{0,60}"
    r"(?:help|hand|favou?r|answer|question|this|following)[^.!?:\n]{0,24}[?.!:]"
    r"|(?:a |just a )?quick (?:one|question)[^.!?:\n]{0,24}[?.!:]|(?:please|pls|plz|kindly)[, ])"
)
_BEFORE: Final = re.compile(rf"\s*(?:{_GREETING}\s*[,.!:;\-–\n]+\s*)?(?:{_WISH}\s*)?(?:{_OPENING}\s*)?", re.IGNORECASE)
_FIRST: Final = frozenset(
    "hi hello hey hiya greetings dear good hallo guten bonjour bonsoir salut hola buenos buenas ciao buongiorno olá bom"
    " i could can would will i'd help quick a just please pls plz kindly".split()
)
"""Words that a courtesy can begin with; most asks begin with another."""
_BEHIND: Final = re.compile(
    r"[\s,.;!\-–]*\b(?:(?:many |pls and |please and )?(?:thanks|thank you|thx|ty|cheers|much appreciated|danke|merci"
    r"|gracias|grazie|obrigad[oa])(?: (?:so |very )?much| a lot| in advance| again| for (?:your|any|the) \w+)*"
    r"|(?:(?:kind|best|warm)(?:est)? )?regards|best wishes|sincerely|pls|plz|please)"
    r"[\s,.!:)\-–]*(?:[^\W\d_]{2,12}[.!]?)?\s*$",
    re.IGNORECASE,
)
_LAST: Final = (
    "thank", "thx", "ty", "cheers", "appreciated", "danke", "merci", "gracias", "grazie", "obrigad", "regards",
    "wishes", "sincerely", "pls", "plz", "please",
)  # fmt: skip
_TAIL: Final = 48
_FRAME: Final = re.compile(
    r"\s*(?:<(context|user_context|background|metadata|environment|reminder)>.*?</\1>\s*)*"
    r"(?:<(user_query|user_message|user_input|query|question|message|input|prompt|user)>\s*(.*?)\s*</\2>\s*$"
    r"|\#{1,6} *(?:user(?:'s)? ?)?(?:message|query|question|input|prompt|request)?:? *\n+(.*))?",
    re.DOTALL | re.IGNORECASE,
)
_HEADED_END: Final = re.compile(r"\n\s*#{1,6} [^\n]*$")


def without_courtesies(ask: AskText) -> AskText:
    """The ask alone; the very same where there is nothing around it. Never raises."""
    text = ask.text
    if text.startswith(("<", "#")):
        text = _unframed(text)
    text = _alone(text)
    if text.isupper():  # who shouts asks nothing harder
        text = text.lower()
    return ask if text is ask.text else replace(ask, text=text)


def _unframed(text: str) -> str:
    """Without what some harnesses put around a user's words, if words are left."""
    found = _FRAME.match(text)
    if found is None or not found.end():
        return text
    inner = found[3] if found[3] is not None else found[4]
    if inner is None:
        inner = text[found.end() :]
    elif found[4] is not None:
        inner = _HEADED_END.sub("", inner)
    return inner if inner.strip() else text


def _alone(text: str) -> str:
    head = text[:_LOOK]
    start = 0
    first = head.split(None, 1)
    if first and first[0].lower().strip(",.!:;") in _FIRST and (found := _BEFORE.match(head)):
        start = found.end()
    place = max(start, len(text) - _TAIL)
    tail = text[place:].lower()
    stop = len(text)
    if any(word in tail for word in _LAST) and (found := _BEHIND.search(text, place)):
        stop = found.start()
    if start == 0 and stop == len(text):
        return text
    rest = text[start:stop]
    left = len(rest.split(None, _FEWEST_WORDS)) >= _FEWEST_WORDS or (not rest.isascii() and len(rest) >= _FEWEST_FAR)
    return rest if left else text
