"""Signalbox, a gateway between chat applications and language models.

The front door imports nothing heavy. `Router` (the gateway's decision without a server) is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.library import Router as Router

__version__ = "0.1.0"
__all__ = ["Router", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Router":
        from router.library import Router

        return Router
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
