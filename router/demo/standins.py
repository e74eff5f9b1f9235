"""What the two stand-in models of the demo say, and how often the small one is right: SIMULATED, by a table.

How they say it over HTTP (OpenAI's protocol to the small one, Anthropic's to the large one) is
`router.upstream.standin`'s to know. `python -m router.demo.standins SMALL_PORT LARGE_PORT` serves both.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Mapping

from router.demo.questions import Level, Question, load
from router.domain import Price
from router.upstream.standin import Reply, StandIn

SMALL_IS_RIGHT: Mapping[Level, float] = {"trivial": 1.0, "easy": 1.0, "hard": 0.05, "expert": 0.0}
"""The share of questions of each level that the small stand-in answers rightly. Invented, not measured; this clear-cut,
since one run gives some two hundred labels and a careful retraining moves nothing on a hint."""

OUTPUT_TOKENS: Mapping[Level, int] = {"trivial": 40, "easy": 250, "hard": 450, "expert": 600}
"""How many tokens an answer is billed as. Invented, like the texts, which are kept short to spare the reader."""

SMALL_SECONDS, LARGE_SECONDS = 0.02, 0.12
"""How long each thinks before its first word."""

LARGE_PRICE = Price(input=3.0, output=15.0)

WRONG = "I am not sure, but it should be fine either way."


def small_is_right(question: Question) -> bool:
    """Whether the small stand-in knows this one: the same at every run, since it hangs on the text alone."""
    return zlib.crc32(question.text.encode()) / 2**32 < SMALL_IS_RIGHT[question.level]


def small_answer(question: Question) -> str:
    """What the small stand-in says."""
    return question.answer if small_is_right(question) else WRONG


def large_answer(question: Question) -> str:
    """What the large stand-in says: it always knows, and takes more words."""
    return (
        question.answer if question.kind == "schema" else f"{question.answer}\n\nI have gone through it step by step."
    )


def is_right(question: Question, text: str) -> bool:
    """Whether an answer holds what is known to be right, as a user with a thumb would see it."""
    return question.answer in text


def small_model() -> StandIn:
    """The small stand-in: free and quick."""
    return _stand_in("standin-small", small_answer, SMALL_SECONDS, None)


def large_model() -> StandIn:
    """The large stand-in: priced and slower."""
    return _stand_in("standin-large", large_answer, LARGE_SECONDS, LARGE_PRICE)


def _stand_in(name: str, say: Callable[[Question], str], seconds: float, price: Price | None) -> StandIn:
    known = {question.text: question for question in load()}

    def answer(text: str) -> Reply:
        if (question := known.get(text)) is None:
            return Reply(f"This is {name}, a SIMULATED model that knows only its script.", latency_seconds=seconds)
        # Tools have to arrive, but are not called. For a schema the stand-in itself says how it is satisfied.
        calls = None if question.kind == "schema" else ()
        tokens = OUTPUT_TOKENS[question.level]
        return Reply(say(question), latency_seconds=seconds, tool_calls=calls, output_tokens=tokens)

    return StandIn(name, answer, price=price)


async def serve(small_port: int, large_port: int) -> None:
    """Serves both until cancelled."""
    await asyncio.gather(small_model().run(small_port), large_model().run(large_port))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
