"""Three options of a help desk and asks that belong to them, or to none; of our own writing."""

from __future__ import annotations

from functools import cache

from classifiers.artefact import load_default
from classifiers.matching import OptionTexts
from classifiers.vectors import WordVectors

CODE = OptionTexts(
    "Programming in any language: writing, reading and mending code",
    (
        "why does this loop never end?",
        "write a function that sorts a list of dates",
        "what does this stack trace mean",
        "how do I merge two branches in git",
    ),
)
STAFF = OptionTexts(
    "Rules for staff: leave, pay, travel",
    (
        "how many days of leave do I have",
        "when is my salary paid",
        "may I book a flight in business class",
        "who signs my travel expenses",
    ),
)
KITCHEN = OptionTexts(
    "Cooking and recipes",
    (
        "how long do I boil an egg",
        "a recipe for lentil soup",
        "what can I use instead of butter in a cake",
        "how do I keep bread fresh",
    ),
)
OPTIONS = (CODE, STAFF, KITCHEN)

ASKS = {
    "my python function returns None, why?": 0,
    "this git merge has conflicts, what now": 0,
    "can I carry over leave days to next year": 1,
    "is the train to the client paid as travel expenses": 1,
    "how long does rice have to boil": 2,
    "which butter is best for baking a cake": 2,
}
FOREIGN = ("who painted the Mona Lisa", "translate good morning into French", "¿cuál es la capital de Perú?")


@cache
def shipped_vectors() -> WordVectors:
    """The word vectors of the judge that ships."""
    vectors = load_default().featurise.vectors
    assert vectors is not None
    return vectors
