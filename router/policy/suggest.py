"""Says what a misspelt name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where one known name is close, else what is known (up to a dozen names), else nothing."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        folded = {other.lower(): other for other in names}
        close = [folded[name.lower()]] if name.lower() in folded else []
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known are {', '.join(names)}" if 0 < len(names) <= 12 else ""
