"""How long a shared cache may keep requests waiting before it is passed by. Only arithmetic; no clock, no network."""

from __future__ import annotations

PATIENCE_SECONDS = 0.08
"""All the waiting that an ailing Redis may cost, from its last quick answer to the opening of the breaker."""
QUICK_SECONDS = 0.025
"""An answer this quick is worth its wait: a cache in the next data centre still beats any model."""
_TOO_LITTLE_SECONDS = 0.01


class Patience:
    """A sum of waiting that slow answers use up and a quick one restores whole."""

    def __init__(self, seconds: float = PATIENCE_SECONDS, quick_seconds: float = QUICK_SECONDS) -> None:
        self._seconds, self.quick_seconds = seconds, quick_seconds
        self.left_seconds = seconds

    def answered(self, waited_seconds: float) -> None:
        """Counts an answer that came. Waiting means the process was idle meanwhile, not busy with others."""
        if waited_seconds <= self.quick_seconds:
            self.left_seconds = self._seconds
        else:
            self.gave_up(waited_seconds)

    def gave_up(self, waited_seconds: float) -> None:
        """Counts a wait that led to nothing."""
        self.left_seconds -= waited_seconds

    @property
    def over(self) -> bool:
        """Whether there is too little left to wait for anything."""
        return self.left_seconds < _TOO_LITTLE_SECONDS

    def restore(self) -> None:
        """Starts afresh."""
        self.left_seconds = self._seconds
