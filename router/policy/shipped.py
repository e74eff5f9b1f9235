"""Finds the policies that come with Signalbox, in an installed wheel and in a checkout alike."""

from __future__ import annotations

from pathlib import Path

from router.errors import SettingsError
from router.policy.suggest import did_you_mean

_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "shipped_policies", _PACKAGE.parent / "policies")


def shipped_policy(name: str) -> Path:
    """The file of a shipped policy, by name (`demo`, `default`, ...). Raises SettingsError for an unknown name."""
    for place in _PLACES:
        file = place / f"{name}.yaml"
        if file.is_file():
            return file
    known = sorted({file.stem for place in _PLACES for file in place.glob("*.yaml") if "." not in file.stem})
    raise SettingsError(f"No shipped policy is called {name!r}{did_you_mean(name, known)}")
