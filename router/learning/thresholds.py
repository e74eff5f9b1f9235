"""Today's thresholds of a policy, as what they would do with a pair of answers whose qualities were predicted."""

from __future__ import annotations

from collections.abc import Callable

from router.ledger.tradeoff import Promised
from router.ledger.twofold import Twofold
from router.policy.compiled import Choose, Policy


def promised_by(policy: Policy) -> tuple[Promised, ...]:
    """Of every rule that takes the cheapest model within a bound of quality; other rules have no such threshold."""
    found = []
    for route in policy.routes.values():
        for rule in route.rules:
            act = rule.act
            if route.baseline is None or not isinstance(act, Choose) or act.of != "cheapest":
                continue
            if act.threshold is not None:
                sends = _sends(act.among, 1.0, act.threshold)
                found.append(Promised(route.name, rule.name, "threshold", act.threshold, sends))
            elif act.keep_quality is not None:
                sends = _sends(act.among, act.keep_quality, 0.0)
                found.append(Promised(route.name, rule.name, "keep_quality", act.keep_quality, sends))
    return tuple(found)


def _sends(among: tuple[str, ...], keep: float, allowed: float) -> Callable[[Twofold], bool]:
    """To the large one where the small one is not asked, or is predicted not to do; as `router.policy.acts` has it."""

    def sends(pair: Twofold) -> bool:
        small, large = pair.predicted_small or 0.0, pair.predicted_large or 0.0
        return pair.small not in among or small < keep * large - allowed

    return sends
