"""Style sheet and scripts come out of installed packages, unchanged, open to all, and for keeps."""

from __future__ import annotations

import gzip
import importlib.metadata
from pathlib import Path

import httpx
import plotly
import pytest

from router.access.admin import AdminDoor
from router.dashboard.assets import own_files, plotly_path
from tests.dashboard.conftest import Parts, app_of, browser

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


async def test_plotlys_script_is_the_installed_one(visitor: httpx.AsyncClient) -> None:
    assert importlib.metadata.version("plotly") in plotly_path()
    plain = await visitor.get(plotly_path(), headers={"accept-encoding": "identity"})
    assert plain.content == PLOTLY.read_bytes()
    assert "content-encoding" not in plain.headers
    async with visitor.stream("GET", plotly_path(), headers={"accept-encoding": "gzip, br"}) as packed:
        raw = b"".join([part async for part in packed.aiter_raw()])
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == PLOTLY.read_bytes()
    assert len(raw) < len(plain.content) / 2


@pytest.mark.parametrize("address", [*own_files().values(), plotly_path()])
async def test_assets_may_be_kept_for_ever(visitor: httpx.AsyncClient, address: str) -> None:
    answer = await visitor.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["content-type"].split(";")[0] == (
        "text/css" if address.endswith("css") else "text/javascript"
    )


async def test_the_form_to_sign_in_has_its_style_before_anybody_signed_in(parts: Parts) -> None:
    parts.door = AdminDoor("boss")
    async with browser(app_of(parts)) as stranger:
        style = own_files()["dashboard.css"]
        assert style in (await stranger.get("/login")).text
        assert (await stranger.get(style)).status_code == 200
        assert (await stranger.get("/dashboard/assets/../requests")).status_code == 303


@pytest.mark.parametrize(
    "name", ["dashboard.css", "000000000000-dashboard.css", "plotly-0.0.0.min.js", "pages.py", "..%2fpages.py"]
)
async def test_nothing_else_is_there(visitor: httpx.AsyncClient, name: str) -> None:
    assert (await visitor.get(f"/dashboard/assets/{name}")).status_code == 404
