"""Makes a picture of a page of a gateway, in a real Chromium, and says what the browser complained of.

    python bench/screenshot.py http://127.0.0.1:8080/dashboard --out docs/images/dashboard.png
    python bench/screenshot.py URL --out FILE --width 390 --dark [--key ADMIN_KEY]
    python bench/screenshot.py --stand-in /dashboard --out FILE

`--stand-in` starts a gateway of its own under the demo's policy, over a made-up day that is the same every time; its
pages say SIMULATED. `REQUEST` in an address is one request of that day. Needs a `chromium` (or `google-chrome`) on
PATH. Status 1 if the page is wider than the window, if the browser refused something of it, or if its script failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx
from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.dashboard.chromium import find_chromium, launched, write, write_lessons  # noqa: E402
from tests.dashboard.lessons import lessons  # noqa: E402
from tests.dashboard.rows import a_day  # noqa: E402
from tests.servers import free_port  # noqa: E402

DRAWN = "() => [...document.querySelectorAll('div.chart')].every(one => one.querySelector('.main-svg'))"


@contextmanager
def stand_in() -> Iterator[tuple[str, str]]:
    """A gateway under the demo's policy with a made-up day in its ledger: its URL, and the id of one request."""
    port, nowhere = free_port(), "http://127.0.0.1:9"
    rows, begin, end = a_day(1400), time.time() - 23 * 3600, time.time() - 600
    with tempfile.TemporaryDirectory() as folder:
        models = {"SIGNALBOX_DEMO_SMALL_URL": f"{nowhere}/v1", "SIGNALBOX_DEMO_LARGE_URL": nowhere}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        command = [sys.executable, "-m", "router.cli", "serve", "--policy", str(ROOT / "policies" / "demo.yaml")]
        process = subprocess.Popen(
            [*command, "--port", str(port)], env={**kept, **models, "SIGNALBOX_DATA_DIR": folder}, cwd=folder
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while not _is_ready(url):
                if process.poll() is not None:
                    sys.exit("The gateway did not start.")
                time.sleep(0.1)
            database = Path(folder) / "signalbox.sqlite3"
            write(database, rows)
            write_lessons(database, lessons(300, begin, end), begin, end, drifted=False)
            yield url, next(row.request_id for row in reversed(rows) if row.attempts == 2)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def take(page: Page, address: str, out: Path, *, width: int, whole: bool) -> list[str]:
    """Writes the PNG; returns what is wrong with the page."""
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    page.wait_for_function(DRAWN)
    page.wait_for_timeout(300)
    wide = page.evaluate("document.documentElement.scrollWidth")
    out.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=out, full_page=whole)
    return [f"the page is {wide} px wide in a window of {width}", *problems] if wide > width else problems


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the page; with --stand-in the path of one")
    parser.add_argument("--out", type=Path, default=Path("docs/images/dashboard.png"))
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--whole", action="store_true", help="the whole page, not only what fits the window")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--key", help="the admin key, where one is set")
    parser.add_argument("--stand-in", action="store_true", help="a gateway of its own, with a made-up day")
    given = parser.parse_args()
    if (program := find_chromium()) is None:
        sys.exit("There is no chromium on PATH.")
    with stand_in() if given.stand_in else nullcontext(("", "")) as (url, request), launched(program) as browser:
        page = browser.new_page(
            viewport={"width": given.width, "height": given.height},
            color_scheme="dark" if given.dark else "light",
            extra_http_headers={"authorization": f"Bearer {given.key}"} if given.key else {},
        )
        address = url + given.url.replace("REQUEST", request) if given.stand_in else given.url
        problems = take(page, address, given.out, width=given.width, whole=given.whole)
    print(given.out, *problems, sep="\n  ")
    return 1 if problems else 0


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    sys.exit(main())
