"""Log lines on stderr, as text or as JSON, with the id of the request they are about. Secrets are taken out of both."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

import orjson

from router.secrets_in_text import holds_secret

LogFormat = Literal["text", "json"]

current_request: ContextVar[str | None] = ContextVar("current_request", default=None)
"""The id of the request that this task answers; set at the edge."""

WITHHELD = "[a line that held a secret]"

_REQUEST_ID = re.compile(r"\breq_[0-9a-f]{32}\b", re.ASCII)


def set_up_logging(level: str, style: LogFormat = "text") -> None:
    """One event a line on stderr, uvicorn's too; called once by the command (and each worker), never on import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("alembic").setLevel(logging.WARNING)  # lists its plugins whenever a schema is looked at


class TextLines(logging.Formatter):
    """Time, level, logger and message; exceptions on the lines below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `logger`, `message`; `request_id` and `exception` where
    there is one."""

    def format(self, record: logging.LogRecord) -> str:
        message = without_secrets(record.getMessage())
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if request_id := current_request.get() or next(_ids_in(message), None):
            event["request_id"] = request_id
        if record.exc_info:
            event["exception"] = without_secrets(self.formatException(record.exc_info))
        if record.stack_info:
            event["stack"] = without_secrets(self.formatStack(record.stack_info))
        return orjson.dumps(_clean(event)).decode()


def without_secrets(text: str) -> str:
    """The text without those of its lines that hold a key, a token or a password; nothing of it, where one is spread
    over several."""
    if not holds_secret(text):
        return text
    text = "\n".join(WITHHELD if holds_secret(line) else line for line in text.split("\n"))
    return WITHHELD if holds_secret(text) else text


def _ids_in(message: str) -> Iterator[str]:
    """Ids of ours that a message names: tasks that outlive a request speak of it so."""
    return (match[0] for match in _REQUEST_ID.finditer(message))


def _clean(event: dict[str, str]) -> dict[str, str]:
    """The event in letters that JSON can hold (no half surrogates, which exceptions about bad input may quote)."""
    return {name: value.encode("utf-8", "replace").decode() for name, value in event.items()}
