"""The gateway's decision as a library: `Router.load("policy.yaml").select(messages)`, without a server."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from classifiers.contract import Assessment, Classifier
from classifiers.learned import LearnedClassifier
from router.ask import read_ask
from router.domain import Ask, Decision, ModelSpec, Verdict
from router.errors import BadRequest
from router.judge import Judge, decide_judged
from router.learning.uptake import load_judge
from router.policy.compiled import Facts, Policy, Route
from router.policy.decide import resolve
from router.policy.explain import explanation
from router.policy.load import load_policy
from router.settings import read_settings

Messages = str | Sequence[Mapping[str, Any]]


class Router:
    """A policy and a judge. Decides; calls nobody and writes nothing down. May be shared by threads."""

    def __init__(self, policy: Policy, classifier: Classifier | None = None):
        self.policy = policy
        # No event loop is held up here, so nothing is too slow.
        self._judge = Judge(classifier or LearnedClassifier.load(), slow_seconds=math.inf)

    @classmethod
    def load(
        cls, path: str | Path, *, env: Mapping[str, str] | None = None, classifier: Classifier | None = None
    ) -> Self:
        """Reads a policy file; where no judge is given, the one that the settings name is used. Raises ConfigError."""
        policy = load_policy(Path(path), os.environ if env is None else env)
        return cls(policy, classifier or load_judge(read_settings()))

    def select(self, messages: Messages, *, model: str = "auto", **request: Any) -> Decision:
        """Who should answer.

        messages: a question, or a list of chat messages. model: a route or model of the policy. request: further
        members of a chat body (`tools`, `response_format`, `max_tokens`, `metadata`, ...) that the decision may
        hang on. Raises ModelNotFound, and PolicyRefusal where nobody may serve.
        """
        return self._decide(messages, model, request)[3].decision

    def explain(self, messages: Messages, *, model: str = "auto", **request: Any) -> dict[str, Any]:
        """The same decision with all that led to it, in the shape of `POST /v1/route`."""
        route, ask, assessment, verdict = self._decide(messages, model, request)
        return explanation("none", self.policy, route, ask, assessment, verdict)

    def _decide(
        self, messages: Messages, model: str, request: Mapping[str, Any]
    ) -> tuple[str | None, Ask, Assessment, Verdict]:
        turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        if not turns:
            raise BadRequest("There is no message to judge.", param="messages")
        target: Route | ModelSpec = resolve(self.policy, model)
        ask = read_ask({"model": model, "messages": turns, **request}, self.policy.scanner)
        facts = Facts(metadata=request.get("metadata") or {}, at=datetime.now(UTC))
        judged = self._judge.assess(ask.text, self.policy.cards)
        assessment, verdict = decide_judged(judged, self.policy, target, ask, facts)
        return target.name if isinstance(target, Route) else None, ask, assessment, verdict
