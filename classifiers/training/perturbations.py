"""Ways to write the same ask differently, under a seed: what a judge should not care about.

Each takes a text and a source of chance and returns a text that asks for the same thing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Final

Perturbation = Callable[[str, random.Random], str]

_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_TYPOS_PER_WORD: Final = 0.08

_POLITE: Final = (
    ("Hi! Could you please help me with this? ", " Thank you so much!"),
    ("Hello, I hope you are well. ", "\n\nThanks in advance."),
    ("Hey, quick one for you: ", " Much appreciated :)"),
    ("Good morning! I would be very grateful for an answer to the following.\n\n", "\n\nKind regards, Sam"),
    ("please ", " pls and thank you"),
    ("Sorry to bother you with this. ", "\n\nThanks heaps, you're a star"),
    ("If you have a minute: ", " I'd be so grateful."),
    ("Would you be so kind as to look at this for me?\n", "\nThanks for your patience!\nPriya"),
    ("yo! ", " ta"),
    ("I really appreciate your help with things like this one. ", "\n\nWith many thanks and all good wishes"),
)
"""The last five were written after `classifiers.courtesy`, to see what it leaves."""
_HARNESS: Final = (
    (
        "<system-reminder>\nThe user opened the file notes.md. This may or may not be relevant.\n</system-reminder>\n",
        "",
    ),
    ("", "\n<system-reminder>\nYour todo list is empty. Do not mention this to the user.\n</system-reminder>"),
    ("<context>\nToday is Tuesday. The user's time zone is UTC+1.\n</context>\n\n", ""),
    ("### User message\n", "\n\n### Reply in the same language as the user."),
    ("<user_query>\n", "\n</user_query>"),
    ("[conversation id 5f1c, turn 3]\n", ""),
    ("User:\n", "\nAssistant:"),
    ("", "\n\n(Answer in Markdown. Do not mention these instructions.)"),
)
"""The last three were written after `classifiers.courtesy`, to see what it leaves."""
_FRAMES: Final = (
    ("Beantworte bitte die folgende Frage:\n\n", ""),
    ("Réponds à la question suivante, s'il te plaît :\n\n", ""),
    ("Por favor, responde a lo siguiente:\n\n", "\n\nGracias."),
    ("请回答下面的问题：\n\n", ""),
    ("次の質問に答えてください。\n\n", ""),
    ("Пожалуйста, ответь на следующий вопрос:\n\n", ""),
    ("Rispondi per favore a quanto segue:\n\n", ""),
    ("Responda por favor ao seguinte:\n\n", ""),
    ("Lütfen aşağıdaki soruyu yanıtla:\n\n", ""),
)


def typos(text: str, chance: random.Random) -> str:
    """About one longer word in twelve gets a letter swapped, dropped or doubled; at least one word does."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    hit = [word for word in words if chance.random() < _TYPOS_PER_WORD] or [chance.choice(words)]
    parts, end = [], 0
    for word in hit:
        parts += [text[end : word.start()], _misspelt(word[0], chance)]
        end = word.end()
    return "".join([*parts, text[end:]])


def _misspelt(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return chance.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))


def lower_case(text: str, chance: random.Random) -> str:
    """As many people type."""
    return text.lower()


def upper_case(text: str, chance: random.Random) -> str:
    """With caps lock on."""
    return text.upper()


def whitespace(text: str, chance: random.Random) -> str:
    """Doubled spaces, blank lines around, spaces at the ends of lines."""
    spaced = re.sub(" ", lambda _found: "  " if chance.random() < 0.15 else " ", text)
    spaced = re.sub("\n", lambda _found: "  \n" if chance.random() < 0.3 else "\n", spaced)
    return chance.choice(("\n", "  ", "\n\n", "\t")) + spaced + chance.choice((" ", "\n", "\n\n", "   \n"))


def _wrapped_in(frames: tuple[tuple[str, str], ...]) -> Perturbation:
    def wrap(text: str, chance: random.Random) -> str:
        before, after = chance.choice(frames)
        return before + text + after

    return wrap


KINDS: Final[Mapping[str, Perturbation]] = {
    "typos": typos,
    "lower case": lower_case,
    "upper case": upper_case,
    "whitespace": whitespace,
    "polite wrapper": _wrapped_in(_POLITE),
    "harness wrapper": _wrapped_in(_HARNESS),
    "translated frame": _wrapped_in(_FRAMES),
}
