"""Counts which of several answers say the same while they come in, and tells when the rest cannot change it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from router.plans.short_answers import Short, same

Trust = Callable[[int, int], float]
"""Of votes for an answer, and of readable answers that say something else."""

LEAST_VOTES = 2
"""One alone agrees with nobody."""


class Tally:
    """asked: how many answers there will be. Places are the answers' numbers in the policy's order, from 0."""

    def __init__(self, asked: int):
        self.missing = asked
        self._groups: list[list[tuple[int, Short]]] = []

    def add(self, place: int, form: Short | None) -> None:
        """One more is over. form: None for an answer that failed, or that cannot be compared."""
        self.missing -= 1
        if form is None:
            return
        for group in self._groups:
            if all(same(form, other) for _place, other in group):
                group.append((place, form))
                group.sort(key=lambda item: item[0])
                return
        self._groups.append([(place, form)])

    @property
    def readable(self) -> int:
        """Answers so far that can be compared."""
        return sum(map(len, self._groups))

    @property
    def leading(self) -> tuple[int, ...]:
        """The places that give the answer with the most votes; of ties the one of the first place. Empty for none."""
        return min(self.groups, key=lambda places: (-len(places), places[0]), default=())

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The places that give each answer."""
        return [tuple(place for place, _form in group) for group in self._groups]

    @property
    def settled(self) -> bool:
        """Whether whatever is missing cannot overtake, or draw level with, the leading answer."""
        votes = sorted(map(len, self._groups), reverse=True)
        if not votes:
            return self.missing == 0
        return not self.missing or votes[0] > (votes[1] if len(votes) > 1 else 0) + self.missing

    def agreed(self, trust: Trust, least: float) -> tuple[int, ...]:
        """The places of an answer that is trusted by now, whatever the missing ones say; empty where none is."""
        places = self.leading
        votes = len(places)
        if votes < LEAST_VOTES or trust(votes, self.readable - votes + self.missing) < least:
            return ()
        return places

    def may_agree(self, trust: Trust, least: float) -> bool:
        """Whether some answer may still be trusted, if all that are missing speak for it."""
        return any(
            votes + self.missing >= LEAST_VOTES and trust(votes + self.missing, self.readable - votes) >= least
            for votes in (0, *map(len, self._groups))
        )
