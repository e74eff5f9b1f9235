"""Knows which models are out of order or full, so that policies pass them by instead of waiting for an error.

A circuit breaker per model (Nygard, *Release It!*): it opens after some failures in a row, and lets one call probe
after a pause that doubles with every failed probe. Pure bookkeeping: it calls nobody and owns no timer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from router.domain import ModelSpec
from router.errors import UpstreamError, UpstreamRateLimited

FAILURES_IN_A_ROW = 5
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0
LONGEST_RETRY_AFTER_SECONDS = 600.0

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class _Trouble:
    """A model that failed lately. until: when it may be tried again (0 while the breaker is closed)."""

    failures: int = 0
    until: float = 0.0
    pause: float = PAUSE_SECONDS
    probing_until: float = 0.0
    why: str = ""


class Health:
    """One gateway's view of its models, by their names in the policy. `clock` gives seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._troubled: dict[str, _Trouble] = {}
        self._calls: dict[str, int] = {}
        self._full: dict[str, str] = {}

    def unavailable(self) -> Mapping[str, str]:
        """Models that should not be chosen now, with the reason in words. Empty, at no cost, while all is well."""
        if not self._troubled and not self._full:
            return _NONE
        now = self._clock()
        reasons = dict(self._full)
        for name, trouble in self._troubled.items():
            if now < trouble.until:
                reasons[name] = f"out of order for {trouble.until - now:.0f} s more: {trouble.why}"
            elif now < trouble.probing_until:
                reasons[name] = f"being tried again: {trouble.why}"
        return reasons

    def states(self) -> Mapping[str, str]:
        """The breaker of each model that failed lately: `closed`, `open`, or `half_open` while one call may probe."""
        now = self._clock()
        return {
            name: "open" if now < trouble.until else "half_open" if trouble.until else "closed"
            for name, trouble in self._troubled.items()
        }

    def retry_after(self) -> float | None:
        """Seconds until the first model that is out of order may be tried again; None where none is."""
        now = self._clock()
        waits = [trouble.until - now for trouble in self._troubled.values() if trouble.until > now]
        return min(waits, default=None)

    def record_success(self, name: str) -> None:
        """The model answered: whatever was, is forgotten."""
        if self._troubled:
            self._troubled.pop(name, None)

    def record_failure(self, name: str, error: UpstreamError) -> None:
        """The model failed. A 429 that says how long to wait opens the breaker at once, for so long."""
        trouble = self._troubled.setdefault(name, _Trouble())
        now = self._clock()
        trouble.failures += 1
        trouble.probing_until = 0.0
        if isinstance(error, UpstreamRateLimited) and error.retry_after is not None:
            wait = min(max(error.retry_after, 0.0), LONGEST_RETRY_AFTER_SECONDS)
            trouble.until, trouble.why = max(trouble.until, now + wait), "it limits our rate"
        elif trouble.failures >= FAILURES_IN_A_ROW and now >= trouble.until:
            trouble.until, trouble.why = now + trouble.pause, f"{trouble.failures} failures in a row ({error.code})"
            trouble.pause = min(2 * trouble.pause, LONGEST_PAUSE_SECONDS)

    def enter(self, model: ModelSpec) -> None:
        """A call to the model begins. Every `enter` that returns is matched by one `leave`, when its answer is closed.

        Raises UpstreamRateLimited when `max_concurrency` calls are open already, so that the next model is asked.
        """
        name, limit = model.name, model.max_concurrency
        if self._troubled and (trouble := self._troubled.get(name)) and trouble.until:
            trouble.probing_until = self._clock() + model.timeouts.first_token
        if limit is None:
            return
        calls = self._calls.get(name, 0)
        if calls >= limit:
            raise UpstreamRateLimited(f"Model `{name}` has {limit} calls open, as many as it may.", retry_after=1.0)
        self._calls[name] = calls + 1
        if calls + 1 == limit:
            self._full[name] = f"busy: {limit} of {limit} calls are open"

    def leave(self, model: ModelSpec) -> None:
        """A call that entered is over, whatever came of it."""
        if model.max_concurrency is None:
            return
        left = self._calls.get(model.name, 0) - 1
        self._full.pop(model.name, None)
        if left > 0:
            self._calls[model.name] = left
        else:
            self._calls.pop(model.name, None)
