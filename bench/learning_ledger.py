"""Fills a ledger with a month of traffic that the learning loop can be measured on: outcomes, audits, thumbs, features.

SIMULATED: whose asks they are and how good the answers were. The asks are the seed prompts and, where outcome files are
at hand, their questions; features are the shipped judge's own, a little shaken so that no two rows are alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from classifiers.artefact import load_default
from classifiers.contract import AskText, LabelSource
from classifiers.learned import LearnedClassifier
from classifiers.training.dataset import read_outcomes, seed_rows
from router.domain import Outcome, Price, Purpose, RuleTrace, Usage
from router.ledger.store import SqlStore
from router.ledger.tables import labels

DAYS: Final = 30
TENANTS: Final = ("acme", "globex", "initech", "umbrella", "hooli")
MODELS: Final = (
    ("local", "acme/tiny-3b", "small", Price(0.05, 0.1), 0.55),
    ("house", "acme/mini-8b", "small", Price(0.1, 0.3), 0.20),
    ("remote", "acme/grand", "large", Price(3.0, 15.0), 0.25),
)
"""Name, the upstream's id, tier, price, and its share of the traffic."""
AUDITED, THUMBED, PRIVATE = 0.10, 0.05, 0.03
SHAKEN: Final = 0.05
"""How far a row's features are moved, in the spread of their column."""
QUESTIONS: Final = 4_000
WRITTEN_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Filled:
    """What a ledger got."""

    outcomes: int
    rows: int
    labelled: int
    labels: int
    seconds: float


class Traffic:
    """Asks with what the shipped judge makes of them; rows are drawn from these. The same seed gives the same rows."""

    def __init__(self, data: Path | None, seed: int = 0):
        artefact = load_default()
        self.judge, self.digest = LearnedClassifier(artefact), artefact.featurise.digest
        self.random = np.random.default_rng(seed)
        asks, languages = _asks(data)
        vectors = np.stack([artefact.featurise(ask) for ask in asks]).astype(np.float32)
        judged = [self.judge.assess_features(vector, ()) for vector in vectors]
        self.vectors, self.spread = vectors, vectors.std(axis=0) * SHAKEN
        self.tasks, self.languages = [one.task for one in judged], languages
        self.complexity = np.array([one.complexity for one in judged])
        self.gain = np.array([one.gain for one in judged])
        self.tokens = np.array([8 + len(ask.text) // 4 for ask in asks])
        self.truth = {name: self._truth(tier, number) for number, (name, _, tier, _, _) in enumerate(MODELS)}

    def _truth(self, tier: str, number: int) -> np.ndarray:
        """P(good answer) by ask: what the judge believes, less sure of itself, worse in some tasks, and bent by a
        direction that it knows nothing of, so that every head has something to learn."""
        believed = 1.0 - self.complexity + (self.gain if tier == "large" else 0.0)
        logit = 0.7 * np.log(np.clip(believed, 0.01, 0.99) / np.clip(1.0 - believed, 0.01, 0.99)) - 0.3
        bend = (self.vectors - self.vectors.mean(axis=0)) @ self.random.normal(size=self.vectors.shape[1])
        found = {task: place for place, task in enumerate(sorted(set(self.tasks)))}
        worse = np.array([found[task] % 3 == number for task in self.tasks])
        truth: np.ndarray = 1.0 / (1.0 + np.exp(-(logit + 0.6 * bend / bend.std() - 0.8 * worse)))
        return truth

    def features(self, ask: int) -> np.ndarray:
        shaken = self.vectors[ask] + self.random.normal(size=len(self.spread)) * self.spread
        found: np.ndarray = shaken.astype(np.float32)
        return found


def _asks(data: Path | None) -> tuple[list[AskText], list[str]]:
    rows = seed_rows()
    asks, languages = [row.ask for row in rows], [row.language or "en" for row in rows]
    files = sorted(data.glob("*.jsonl.gz")) if data is not None else []
    questions = [row.query for file in files for row in read_outcomes(file)]
    chosen = np.random.default_rng(1).permutation(len(questions))[:QUESTIONS]
    return asks + [AskText(questions[place]) for place in chosen], languages + ["en"] * len(chosen)


Label = dict[str, Any]


async def fill(store: SqlStore, traffic: Traffic, count: int, *, every_one_labelled: bool = False) -> Filled:
    """Writes `count` chats of the last DAYS, oldest first, with their audits, judge calls and labels.

    AUDITED of them have a second answer and judge labels on both, THUMBED a user's. every_one_labelled: all others have
    a verifier's label too, as where feedback is given in bulk.
    """
    began, rows, given, labelled = time.perf_counter(), 0, 0, 0
    requests = _traffic(traffic, count, every_one_labelled)
    while batch := list(islice(requests, WRITTEN_AT_ONCE)):
        outcomes = [row for request, _ in batch for row in request]
        told = [label for _, about in batch for label in about]
        await store.write(outcomes)
        if told:
            async with store.transaction() as connection:
                await connection.execute(sa.insert(labels), told)
        rows, given = rows + len(outcomes), given + len(told)
        labelled += len({label["request_id"] for label in told})
    return Filled(count, rows, labelled, given, time.perf_counter() - began)


def _traffic(traffic: Traffic, count: int, every_one: bool) -> Iterator[tuple[Sequence[Outcome], Sequence[Label]]]:
    random = traffic.random
    now = time.time()
    step = DAYS * 86_400.0 / (count + 1)
    shares = [share for *_, share in MODELS]
    for number in range(count):
        ask, model = int(random.integers(len(traffic.vectors))), int(random.choice(len(MODELS), p=shares))
        at, name = now - (count - number) * step, f"req_{number:032x}"
        row = _chat(traffic, name, at, ask, model)
        request, about = [row], []
        audited, thumbed = random.random() < AUDITED, random.random() < THUMBED
        good = float(random.random() < traffic.truth[MODELS[model][0]][ask])
        if audited and not row.ask["private"]:
            other = 0 if MODELS[model][2] == "large" else 2
            request += _audit(row, other)
            theirs = float(random.random() < traffic.truth[MODELS[other][0]][ask])
            about.append(_label(row, name, "judge", _judged(random, good), "audit"))
            about.append(_label(row, f"{name}.audit", "judge", _judged(random, theirs), "audit"))
        if thumbed:
            about.append(
                _label(row, name, "user", good if random.random() < 0.85 else 1.0 - good, f"web-{number % 20}")
            )
        if every_one and not about:
            about.append(_label(row, name, "verifier", good, "tests"))
        yield request, about


def _chat(traffic: Traffic, name: str, at_unix: float, ask: int, model: int) -> Outcome:
    named, upstream, tier, price, _ = MODELS[model]
    random, complexity, gain = traffic.random, float(traffic.complexity[ask]), float(traffic.gain[ask])
    small, large = 1.0 - complexity, min(1.0, 1.0 - complexity + gain)
    row = Outcome(name, at_unix, TENANTS[int(random.integers(len(TENANTS)))], "web", status=200, cache="miss")
    row.conversation, row.route, row.policy = f"fp_{random.integers(1 << 62):024x}", "auto", "default@3f9a1c02b7de"
    row.rule = "easy" if complexity < 0.35 else "hard"
    row.classifier, row.features_digest = traffic.judge.name, traffic.digest
    row.model, row.decided_model, row.upstream_model, row.tier, row.provider = named, named, upstream, tier, "openai"
    row.probability, row.finish_reason, row.attempts, row.stream = 0.95, "stop", 1, bool(random.random() < 0.5)
    row.usage, row.price = Usage(int(traffic.tokens[ask]), output=int(random.integers(20, 600))), price
    row.cost_nano = round((row.usage.uncached_input * price.input + row.usage.output * price.output) * 1000)
    row.baseline_model, row.baseline_nano, row.always_small_nano = "remote", row.cost_nano * 9, row.cost_nano
    row.latency_ms, row.ttft_ms, row.overhead_ms = 812.4, 95.1, 0.6
    row.complexity, row.gain, row.support = complexity, gain, 0.8
    row.task, row.language = traffic.tasks[ask], traffic.languages[ask]
    row.eligible = {one[0]: True for one in MODELS}
    row.quality = {one[0]: large if one[2] == "large" else small for one in MODELS}
    row.expected_cost_usd, row.fallback = {"local": 0.0001, "house": 0.0002, "remote": 0.0036}, ("remote",)
    row.rules = tuple(RuleTrace(f"rule {place}", place == 2, "complexity 0.41 is not below 0.35") for place in range(3))
    private = ["email"] if random.random() < PRIVATE else []
    row.ask = {"input_tokens": row.usage.uncached_input, "turns": 1, "tools": 0, "private": private}
    row.features = None if private else traffic.features(ask)
    return row


def _audit(row: Outcome, other: int) -> list[Outcome]:
    """The other answer and the two askings of the judge, as rows under their request."""
    made = []
    calls: tuple[tuple[str, Purpose, int], ...] = (
        ("audit", "audit", other),
        ("judge1", "judge", 2),
        ("judge2", "judge", 2),
    )
    for name, purpose, model in calls:
        named, upstream, tier, price, _ = MODELS[model]
        inner = Outcome(f"{row.request_id}.{name}", row.at_unix, row.tenant, row.key, purpose=purpose)
        inner.parent_id, inner.status, inner.route, inner.policy = row.request_id, 200, row.route, row.policy
        inner.model, inner.upstream_model, inner.tier, inner.provider = named, upstream, tier, "openai"
        inner.usage, inner.price, inner.cost_nano = Usage(300, output=100), price, 1_000_000
        made.append(inner)
    return made


def _judged(random: np.random.Generator, good: float) -> float:
    """A judge's score of an answer: near the truth, in steps of a twentieth as two askings on ten points give."""
    score = (0.8 if good else 0.25) + random.normal() * 0.15
    return float(round(min(1.0, max(0.0, score)) * 20) / 20)


def _label(row: Outcome, request_id: str, source: LabelSource, score: float, key: str) -> Label:
    return {
        "request_id": request_id,
        "key": key,
        "source": source,
        "tenant": row.tenant,
        "score": score,
        "weight": 1.0,
        "comment": None,
        "at_unix": row.at_unix + 60.0,
    }
