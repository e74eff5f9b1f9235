"""What the two stand-in models of the demo say, and how often the small one is right: SIMULATED, by a table.

How they say it over HTTP (OpenAI's protocol for the small one, Anthropic's for the large one) is
`router.upstream.standin`'s to know.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from router.demo.questions import Level, Question

SMALL_IS_RIGHT: Mapping[Level, float] = {"trivial": 1.0, "easy": 0.96, "hard": 0.25, "expert": 0.04}
"""The share of questions of each level that the small stand-in answers rightly. Invented, not measured."""

WRONG = "I am not sure, but it should be fine either way."


def small_is_right(question: Question) -> bool:
    """Whether the small stand-in knows this one: the same at every run, since it hangs on the text alone."""
    return zlib.crc32(question.text.encode()) / 2**32 < SMALL_IS_RIGHT[question.level]


def small_answer(question: Question) -> str:
    """What the small stand-in says."""
    return question.answer if small_is_right(question) else WRONG


def large_answer(question: Question) -> str:
    """What the large stand-in says: it always knows, and takes more words."""
    return f"{question.answer}\n\nThat is my considered answer; I have gone through it step by step."


def is_right(question: Question, text: str) -> bool:
    """Whether an answer holds what is known to be right, as a user with a thumb would see it."""
    return question.answer in text
