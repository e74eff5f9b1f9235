"""How the gateway's parts are just now, as plain values. Whoever keeps the parts fills this in at each scrape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Vitals:
    """parts: whether each is well. breakers: `closed`, `half_open` or `open` for each model of the policy.

    condition_errors: by route and rule, since the policy was loaded. limits_refused: by limit and bound.
    audits: by what became of them. risks: by route and rule with a `max_risk`: the bound, the audited pairs that it is
    of, and whether it is proven. drift: by part of the traffic, whether it drifted and how far, None where that is not
    known; drift_looked_unix: when that was seen. canary: the judge of a share, and the share. labels: kept, by source.
    checks: of answers, by what became of them.
    """

    policy_name: str
    policy_digest: str
    classifier: str
    parts: Mapping[str, bool]
    breakers: Mapping[str, str] = field(default_factory=dict)
    condition_errors: Mapping[tuple[str, str], int] = field(default_factory=dict)
    policy_reloads: int = 0
    policy_refusals: int = 0
    judge_failures: int = 0
    ledger_written: int = 0
    ledger_dropped: int = 0
    ledger_waiting: int = 0
    encoder_asks: Mapping[str, int] = field(default_factory=dict)
    limits_refused: Mapping[tuple[str, str], int] = field(default_factory=dict)
    limits_alone: int = 0
    limits_waiting: int = 0
    limits_dropped: int = 0
    audits: Mapping[str, int] = field(default_factory=dict)
    risks: Mapping[tuple[str, str], tuple[float, int, bool]] = field(default_factory=dict)
    drift: Mapping[str, tuple[bool, float | None]] = field(default_factory=dict)
    drift_looked_unix: float | None = None
    canary: tuple[str, float] | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    checks: Mapping[str, int] = field(default_factory=dict)
