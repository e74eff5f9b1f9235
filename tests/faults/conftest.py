"""What a process opens once and for ever is opened before anything is counted."""

from __future__ import annotations

import pytest
import uvloop


@pytest.fixture(scope="session", autouse=True)
def opened_for_ever() -> None:
    """The first loop of uvloop opens a pipe for signals that outlives it."""
    uvloop.new_event_loop().close()
