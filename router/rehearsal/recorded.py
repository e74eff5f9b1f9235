"""The cast of a rehearsal: recorded queries in a seeded order, and stand-ins that answer as was recorded. SIMULATED.

What the stand-ins say names the model and the query, so that the judge's stand-in knows which recorded score is meant;
it never reads anything else. Noise turns a judged score round (0.9 becomes 0.1), once and for all for each answer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from classifiers.training.dataset import OutcomeRow
from router.errors import SettingsError
from router.policy.suggest import did_you_mean
from router.upstream.standin import Reply, StandIn

ANSWER_TOKENS: Final = 200
"""Of an answer whose length was not recorded."""
_NAMED: Final = re.compile(r"\[(small|large) #(\d+)\]")


@dataclass(frozen=True, slots=True)
class Take:
    """One recorded query. small, large: scores in 0..1. small_tokens, large_tokens: how long the answers were."""

    number: int
    query: str
    domain: str
    small: float
    large: float
    small_tokens: int
    large_tokens: int


def takes(
    rows: Sequence[OutcomeRow], small: str, large: str, count: int, seed: int, shift: str | None = None
) -> list[Take]:
    """So many queries that hold both models, shuffled by the seed; every query once. Raises SettingsError.

    shift: a domain that is kept for the second half, which then consists of it as far as it reaches.
    """
    known = sorted({model for row in rows for model in row.scores})
    for model in (small, large):
        if model not in known:
            raise SettingsError(f"the file has no outcomes of {model!r}{did_you_mean(model, known)}")
    both = list({row.query: row for row in rows if small in row.scores and large in row.scores}.values())
    order = np.random.default_rng(seed).permutation(len(both))
    found = [_take(number, both[index], small, large) for number, index in enumerate(order)]
    if shift is not None:
        found = _shifted(found, shift, count)
    if len(found) < count:
        raise SettingsError(f"the file has {len(found)} queries with both models, {count} were asked for")
    return found[:count]


def _take(number: int, row: OutcomeRow, small: str, large: str) -> Take:
    tokens = [round(row.output_tokens.get(model) or ANSWER_TOKENS) for model in (small, large)]
    return Take(
        number, row.query, row.domain, row.scores[small], row.scores[large], max(1, tokens[0]), max(1, tokens[1])
    )


def _shifted(found: Sequence[Take], shift: str, count: int) -> list[Take]:
    domains = sorted({take.domain for take in found})
    if shift not in domains:
        raise SettingsError(f"the file has no domain {shift!r}{did_you_mean(shift, domains)}")
    of_domain = [take for take in found if take.domain == shift]
    others = [take for take in found if take.domain != shift]
    half = count // 2
    if len(others) < half:
        raise SettingsError(f"only {len(others)} queries are of other domains than {shift}, {half} are needed")
    second = [*of_domain, *others[half:]][: count - half]
    return [*others[:half], *second]


class Cast:
    """The stand-ins of one rehearsal. noise: share of answers whose judged score is turned round."""

    def __init__(self, recorded: Sequence[Take], noise: float, seed: int):
        self._by_query = {take.query: take for take in recorded}
        self._by_number = {take.number: take for take in recorded}
        self._noise, self._seed = noise, seed
        self.small = StandIn("recorded-small", lambda query: self._answer(query, "small"))
        self.large = StandIn("recorded-large", lambda query: self._answer(query, "large"))
        self.judge = StandIn("recorded-judge", self._weigh)

    def judged(self, take: Take, model: str) -> float:
        """What the judge's stand-in says of an answer, noise and all."""
        score = take.small if model == "small" else take.large
        drawn = zlib.crc32(f"{self._seed} {take.number} {model}".encode()) / 2**32
        return 1.0 - score if drawn < self._noise else score

    def _answer(self, query: str, model: str) -> Reply:
        take = self._by_query[query]
        tokens = take.small_tokens if model == "small" else take.large_tokens
        return Reply(f"[{model} #{take.number}] SIMULATED: as recorded.", tool_calls=(), output_tokens=tokens)

    def _weigh(self, question: str) -> Reply:
        material: Mapping[str, str] = orjson.loads(question)
        scores = {}
        for shown in [name for name in ("A", "B") if name in material]:
            named = _NAMED.match(material[shown])
            assert named is not None, "the judge was shown something that no stand-in said"
            scores[shown.lower()] = round(10 * self.judged(self._by_number[int(named[2])], named[1]), 3)
        return Reply(orjson.dumps(scores).decode(), tool_calls=())
