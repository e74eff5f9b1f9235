"""The gateway's decision as a library: `Router.load("policy.yaml").select(messages)`, without a server."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from msgspec import structs

from classifiers.contract import Assessment, Classifier
from classifiers.learned import LearnedClassifier
from classifiers.tiers import embedder_of
from router.ask import read_ask
from router.domain import Ask, Decision, ModelSpec, Verdict
from router.errors import BadRequest
from router.judge import Judge, unsure
from router.learning.uptake import load_judge
from router.policy.compiled import Facts, Policy, Route, Rule, Select, Selection
from router.policy.decide import SelectionNeeded, decide, resolve
from router.policy.explain import explanation
from router.policy.load import load_policy
from router.selection.asking import ask_once
from router.selection.by_embedding import ByEmbedding, vectors_of
from router.selection.deciding import Selects, at_once, decide_selecting
from router.selection.selectors import likeness_alone
from router.settings import read_settings

Messages = str | Sequence[Mapping[str, Any]]
Decided = tuple[str | None, Ask, Assessment, Verdict]


class Router:
    """A policy and a judge. Decides, and writes nothing down. May be shared by threads.

    It calls nobody, but where a rule `select: {by: model}` is reached: then the model that reads the options.
    """

    def __init__(self, policy: Policy, classifier: Classifier | None = None):
        self.policy = policy
        classifier = classifier or LearnedClassifier.load()
        # No event loop is held up here, so nothing is too slow.
        self._judge = Judge(classifier, slow_seconds=math.inf)
        self._by_embedding = ByEmbedding(vectors_of(classifier), embedder_of(classifier))

    @classmethod
    def load(
        cls, path: str | Path, *, env: Mapping[str, str] | None = None, classifier: Classifier | None = None
    ) -> Self:
        """Reads a policy file; where no judge is given, the one that the settings name is used. Raises ConfigError."""
        policy = load_policy(Path(path), os.environ if env is None else env)
        return cls(policy, classifier or load_judge(read_settings()))

    def select(self, messages: Messages, k: int | None = None, *, model: str = "auto", **request: Any) -> Decision:
        """Who should answer.

        messages: a question, or a list of chat messages. k: also say which options the ask belongs to, at most so
        many, as `options` does; they are the decision's `options` then. model: a route or model of the policy.
        request: further members of a chat body (`tools`, `response_format`, `max_tokens`, `metadata`, ...) that the
        decision may hang on. Raises ModelNotFound, and PolicyRefusal where nobody may serve; RuntimeError where a
        model would have to read options while an event loop runs in this thread: `await aselect(...)` there.
        """
        decision = self._decide(messages, model, request, self._calling)[3].decision
        if k is None:
            return decision
        names = tuple(name for name, _score in self.options(messages, k, model=model, **request))
        return structs.replace(decision, options=names)

    async def aselect(
        self, messages: Messages, k: int | None = None, *, model: str = "auto", **request: Any
    ) -> Decision:
        """As `select`, for whoever has an event loop that must not be held up."""
        return await asyncio.to_thread(self.select, messages, k, model=model, **request)

    def options(
        self, messages: Messages, k: int | None = None, *, model: str = "auto", **request: Any
    ) -> tuple[tuple[str, float], ...]:
        """The options that the ask belongs to, with their scores (0..1), best first; none where the selector abstains.

        Picked among all options of the route's `select` rules, as the first of these picks; of a route without such
        a rule, and for a model, among all options of the policy by likeness. Options that may not serve are left out.
        Raises as `select`, and BadRequest where there is nothing to pick from.
        """
        target, ask, facts = self._read(messages, model, request)
        route = _of_options_alone(self.policy, target, k)
        try:
            decide(self.policy, route, ask, unsure(self.policy.cards), facts)
        except SelectionNeeded as needed:
            return at_once(_selected(self._calling, needed, ask, facts)).options
        raise AssertionError("a rule that selects needs a selection")

    def explain(self, messages: Messages, *, model: str = "auto", **request: Any) -> dict[str, Any]:
        """The same decision with all that led to it, in the shape of `POST /v1/route`. Calls nobody, as there."""
        route, ask, assessment, verdict = self._decide(messages, model, request, likeness_alone(self._by_embedding))
        return explanation("none", self.policy, route, ask, assessment, verdict)

    def _decide(self, messages: Messages, model: str, request: Mapping[str, Any], selects: Selects) -> Decided:
        target, ask, facts = self._read(messages, model, request)
        judged = self._judge.assess(ask.text, self.policy.cards)
        assessment, verdict = at_once(decide_selecting(judged, self.policy, target, ask, facts, selects))
        return target.name if isinstance(target, Route) else None, ask, assessment, verdict

    def _read(self, messages: Messages, model: str, request: Mapping[str, Any]) -> tuple[Route | ModelSpec, Ask, Facts]:
        turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        if not turns:
            raise BadRequest("There is no message to judge.", param="messages")
        target = resolve(self.policy, model)
        ask = read_ask({"model": model, "messages": turns, **request}, self.policy.scanner)
        return target, ask, Facts(metadata=request.get("metadata") or {}, at=datetime.now(UTC))

    async def _calling(self, needed: SelectionNeeded, ask: Ask, facts: Facts) -> Selection:
        """Selects; a model that must read is asked in a loop of its own, so nothing here is waited for."""
        if needed.select.model is None:
            return self._by_embedding.select(needed, ask)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(ask_once(needed, ask, facts, self.policy.models))
        raise RuntimeError(
            "a model has to read the options, and an event loop runs here: use `await router.aselect(...)`"
        )


async def _selected(selects: Selects, needed: SelectionNeeded, ask: Ask, facts: Facts) -> Selection:
    return await selects(needed, ask, facts)


def _of_options_alone(policy: Policy, target: Route | ModelSpec, k: int | None) -> Route:
    """A route that does nothing but pick up to k of a target's options. Raises BadRequest."""
    if k is not None and k < 1:
        raise BadRequest("`k` is how many options are wanted: 1 or more.", param="k")
    if not policy.options:
        raise BadRequest("The policy has no `options` to pick from.", param="k")
    rules = [rule.act for rule in target.rules if isinstance(rule.act, Select)] if isinstance(target, Route) else []
    among = tuple(dict.fromkeys(option for act in rules for option in act.among)) or tuple(policy.options.values())
    first = rules[0] if rules else Select(among)
    threshold = first.threshold if len(rules) == 1 else None
    select = Select(among, first.model, k or len(among), threshold)
    route = target if isinstance(target, Route) else Route(target.name, policy.default, privacy=policy.pinned_privacy)
    return replace(route, rules=(Rule("options", select),))
