"""What can go wrong with an artefact, and why. Judging itself never raises.

ClassifierError
├── ArtefactError      reason: missing | damaged | foreign | newer
└── TrainingError      the data given cannot be learned from
"""

from __future__ import annotations

from typing import Literal

ArtefactFault = Literal["missing", "damaged", "foreign", "newer"]


class ClassifierError(Exception):
    """The root: anything this package raises on purpose."""


class ArtefactError(ClassifierError):
    """An artefact that must not be used. `reason` is for programs, the message for people."""

    def __init__(self, reason: ArtefactFault, message: str):
        super().__init__(f"{reason} artefact: {message}")
        self.reason: ArtefactFault = reason


class TrainingError(ClassifierError):
    """The rows given are unreadable, or too few to learn from."""
