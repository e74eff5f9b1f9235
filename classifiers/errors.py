"""What can go wrong with an artefact, and why. Judging itself never raises.

ClassifierError
├── ArtefactError      reason: missing | damaged | foreign | newer | older
├── EncoderError       reason: missing | foreign
└── TrainingError      the data given cannot be learned from
"""

from __future__ import annotations

from typing import Literal

ArtefactFault = Literal["missing", "damaged", "foreign", "newer", "older"]
EncoderFault = Literal["missing", "foreign"]


class ClassifierError(Exception):
    """The root: anything this package raises on purpose."""


class ArtefactError(ClassifierError):
    """An artefact that must not be used. `reason` is for programs, the message for people."""

    def __init__(self, reason: ArtefactFault, message: str):
        super().__init__(f"{reason} artefact: {message}")
        self.reason: ArtefactFault = reason


class EncoderError(ClassifierError):
    """The encoder cannot be used: its libraries or weights are missing, or they are not those it was trained with."""

    def __init__(self, reason: EncoderFault, message: str):
        super().__init__(f"{reason} encoder: {message}")
        self.reason: EncoderFault = reason


class TrainingError(ClassifierError):
    """The rows given are unreadable, or too few to learn from."""
