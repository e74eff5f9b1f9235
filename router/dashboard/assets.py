"""The files that pages load: our own style sheet and scripts, and plotly's script out of the installed package.

Every address holds a version or a digest, so a browser may keep the file for ever; none of them needs a key.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.metadata
import importlib.util
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from router.errors import NotFound

routes = APIRouter(include_in_schema=False)

PREFIX = "/dashboard/assets/"
_SCRIPT = "text/javascript; charset=utf-8"
_OWN = {"dashboard.css": "text/css; charset=utf-8", "charts.js": _SCRIPT, "live.js": _SCRIPT}
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "vary": "accept-encoding",
}


@routes.get(PREFIX + "{name}")
async def asset(name: str, request: Request) -> Response:
    """One file, gzipped for whoever takes that. Raises NotFound."""
    if PREFIX + name not in {*own_files().values(), plotly_path()}:
        raise NotFound(f"There is no file `{name}` here.")
    kind, plain, packed = await run_in_threadpool(_content, name)
    headers = dict(_HEADERS)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(packed, media_type=kind, headers=headers)
    return Response(plain, media_type=kind, headers=headers)


@functools.cache
def own_files() -> dict[str, str]:
    """The address of each of our own files, by its name."""
    return {name: f"{PREFIX}{_digest(_own_bytes(name))}-{name}" for name in _OWN}


@functools.cache
def plotly_path() -> str:
    """The address of plotly's script; it names the installed version."""
    return f"{PREFIX}plotly-{importlib.metadata.version('plotly')}.min.js"


@functools.cache
def _content(name: str) -> tuple[str, bytes, bytes]:
    """Media type, bytes, and the same gzipped (plotly: 4.8 MB become 1.4; packed once and kept)."""
    own = name.partition("-")[2]
    if own in _OWN:
        kind, plain = _OWN[own], _own_bytes(own)
    else:
        kind, plain = _SCRIPT, _plotly_bytes()
    return kind, plain, gzip.compress(plain, 6, mtime=0)


@functools.cache
def _own_bytes(name: str) -> bytes:
    return (files("router.dashboard") / "static" / name).read_bytes()


def _plotly_bytes() -> bytes:
    spec = importlib.util.find_spec("plotly")
    assert spec is not None and spec.origin is not None, "plotly is a dependency"
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
