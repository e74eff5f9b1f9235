"""Runs the shell and Python blocks of a page, in order, as a reader would: one folder, one environment, one gateway.

`signalbox serve` in a block becomes the page's gateway, on a free port, until the next one or the end of the page; the
pages' address http://127.0.0.1:8080 then means that gateway. Blocks of YAML that begin with `# name.yaml` are saved
under that name. All Python of a page is one script, run where its first block stands. A block that fails, fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from tests.clients.pages import PLACE
from tests.docs.reading import Block
from tests.servers import free_port

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not re.match("SIGNALBOX_|OPENAI_|ANTHROPIC_|OLLAMA_|LITELLM_|OTEL_", name)
}
_SERVE = re.compile(r"^signalbox serve", re.MULTILINE)
_FILE = re.compile(r"# ([\w-]+\.yaml)$")
_SECONDS = 60


class BlockFailed(Exception):
    """A block ended with something else than 0; says which one and what it said."""


class Reader:
    """A reader with a shell in `folder`, as a context manager: leaving it ends the gateway, if one was started.

    env: what this reader has set. by_heading: what is set besides under some headings. url: a gateway that runs
    already, for pages that start none.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        by_heading: Mapping[str, Mapping[str, str]] | None = None,
        url: str = PLACE,
    ):
        self._folder, self._env, self._by_heading = folder, dict(env), by_heading or {}
        self.url = url
        self._gateway: subprocess.Popen[bytes] | None = None
        self.said = ""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end_gateway()

    def follow(self, blocks: list[Block]) -> None:
        """Does what the blocks say. Raises BlockFailed."""
        python = [block.text for block in blocks if block.language == "python"]
        for block in blocks:
            if block.language == "sh" and _SERVE.search(block.text):
                self._serve(block)
            elif block.language == "sh":
                self._run(block, ["bash", "-euo", "pipefail", "-c", block.text.replace(PLACE, self.url)])
            elif block.language == "python" and python:
                script = self._folder / "page.py"
                script.write_text("\n".join(python).replace(PLACE, self.url), "utf-8")
                python = []
                self._run(block, [sys.executable, str(script)])
            elif block.language == "yaml" and (named := _FILE.match(block.opening)):
                (self._folder / named[1]).write_text(block.text, "utf-8")

    def _environ(self, block: Block) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{CLEAN['PATH']}"
        return {**CLEAN, "PATH": path, "NO_PROXY": "*", **self._env, **self._by_heading.get(block.heading, {})}

    def _run(self, block: Block, command: list[str]) -> None:
        ended = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environ(block),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        self.said += ended.stdout
        if ended.returncode != 0:
            opening = block.opening
            raise BlockFailed(f"{block.page}, `{opening}` ended with {ended.returncode}: {ended.stdout[-1500:]}")

    def _serve(self, block: Block) -> None:
        self._end_gateway()
        port, log = free_port(), self._folder / "gateway.log"
        with log.open("wb") as out:
            self._gateway = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", _SERVE.sub("exec signalbox serve", block.text)],
                cwd=self._folder,
                env={**self._environ(block), "SIGNALBOX_PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self.url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _SECONDS
        while not self._is_ready():
            if self._gateway.poll() is not None or time.monotonic() > deadline:
                raise BlockFailed(f"{block.page}, `{block.opening}` serves nothing: {log.read_text()[-1500:]}")
            time.sleep(0.05)
        self.said += log.read_text("utf-8")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _end_gateway(self) -> None:
        if self._gateway is None:
            return
        self._gateway.terminate()
        try:
            self._gateway.wait(15)
        except subprocess.TimeoutExpired:
            self._gateway.kill()
            self._gateway.wait()
        self._gateway = None
