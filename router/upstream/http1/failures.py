"""What can go wrong with an exchange, told apart by what it says about the other side.

HttpFailure
├── ConnectionLost    closed or reset before the answer was whole
├── BadAnswer         not HTTP as it should be: framing, encoding, a head without end
└── TooLarge          more than the reader takes
"""

from __future__ import annotations


class HttpFailure(Exception):
    """An exchange that brought no whole answer."""


class ConnectionLost(HttpFailure):
    """began: some byte of an answer had come. reused: the connection had served another exchange before."""

    def __init__(self, cause: str, *, began: bool, reused: bool):
        super().__init__(cause)
        self.cause, self.began, self.reused = cause, began, reused


class BadAnswer(HttpFailure):
    """began: its head had come, and was good."""

    def __init__(self, cause: str, *, began: bool):
        super().__init__(cause)
        self.began = began


class TooLarge(HttpFailure):
    """More bytes than the reader takes."""
