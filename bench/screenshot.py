"""Makes a picture of a page of a running gateway, in a real Chromium, and says what the browser complained of.

    python bench/screenshot.py http://127.0.0.1:8080/dashboard --out docs/images/dashboard.png
    python bench/screenshot.py URL --out FILE --width 375 --dark [--key ADMIN_KEY]

Needs a `chromium` (or `google-chrome`) on PATH. Status 1 if the page is wider than the window, if the browser refused
something of it beyond plotly's map styles, or if its script failed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import shutil
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --hide-scrollbars --remote-debugging-port=0 --remote-allow-origins=*"
).split()

MAP_STYLES = "sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o="
"""Of plotly's map traces, refused on purpose: no page draws maps."""

DRAWN = """new Promise(done => {
  const wait = () => [...document.querySelectorAll('.chart')].every(c => c.querySelector('.main-svg'))
    ? setTimeout(done, 300) : setTimeout(wait, 50);
  wait(); setTimeout(done, 8000);
})"""


class Tab:
    """One tab, spoken to through the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self._socket, self._numbers = socket, itertools.count(1)
        self.complaints: list[str] = []

    async def ask(self, method: str, **params: Any) -> Any:
        """Sends one command and returns its result; what the browser says meanwhile is kept."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json(timeout=60)
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']['message']}")
                return said["result"]
            self._hear(said)

    def _hear(self, said: dict[str, Any]) -> None:
        if said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] in ("warning", "error"):
            text = said["params"]["entry"]["text"]
            if MAP_STYLES not in text:
                self.complaints.append(text)
        if said.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(said["params"]["exceptionDetails"].get("exception", {}).get("description")))


@asynccontextmanager
async def tab() -> Any:
    """A tab of a fresh browser, which ends with the block."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("There is no chromium on PATH.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program, *FLAGS, f"--user-data-dir={profile}", "about:blank", stderr=asyncio.subprocess.DEVNULL
        )
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            for _ in range(200):
                if port_file.exists() and port_file.read_text().count("\n"):
                    break
                await asyncio.sleep(0.1)
            port = port_file.read_text().splitlines()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [target for target in await answer.json() if target["type"] == "page"]
                async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Tab(socket)
        finally:
            process.terminate()
            await process.wait()


async def picture(url: str, out: Path, *, width: int, height: int, whole: bool, dark: bool, key: str | None) -> int:
    """Writes the PNG; returns the exit status."""
    async with tab() as page:
        for domain in ("Page", "Log", "Runtime"):
            await page.ask(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await page.ask("Emulation.setEmulatedMedia", features=[scheme])
        await page.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        if key:
            await page.ask("Network.setExtraHTTPHeaders", headers={"Authorization": f"Bearer {key}"})
        if failure := (await page.ask("Page.navigate", url=url)).get("errorText"):
            sys.exit(f"{url}: {failure}")
        await asyncio.sleep(0.5)
        await page.ask("Runtime.evaluate", expression=DRAWN, awaitPromise=True)
        sizes = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        size = (await page.ask("Runtime.evaluate", expression=sizes, returnByValue=True))["result"]["value"]
        clip = {"x": 0, "y": 0, "width": width, "height": size[1] if whole else height, "scale": 1}
        shot = await page.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        await asyncio.to_thread(write, out, base64.b64decode(shot["data"]))
        problems = [f"the page is {size[0]} px wide in a window of {width}"] if size[0] > width else []
        problems += page.complaints
    print(f"{out}: {width} x {clip['height']}", *problems, sep="\n  ")
    return 1 if problems else 0


def write(out: Path, png: bytes) -> None:
    """Writes the file, and its folder where there is none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(png)


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--out", type=Path, default=Path("docs/images/dashboard.png"))
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--whole", action="store_true", help="the whole page, not only what fits the window")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--key", help="the admin key, where one is set")
    given = parser.parse_args()
    return asyncio.run(
        picture(
            given.url,
            given.out,
            width=given.width,
            height=given.height,
            whole=given.whole,
            dark=given.dark,
            key=given.key,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
