"""Plain lines on stderr."""

from __future__ import annotations

import logging
import sys


def set_up_logging(level: str) -> None:
    """Plain lines on stderr, one for each event; called once by the command, never on import."""
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("alembic").setLevel(logging.WARNING)  # lists its plugins whenever a schema is looked at
