"""Runs the code of each client's page in docs/clients in that client's own environment, through a real gateway.

What a page promises beside an answer (a named conversation, a request id that feedback can be given with) is looked
up in the ledger afterwards. Part of `make clients`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from router.upstream.standin import StandIn
from tests.clients.environments import Environment
from tests.docs.reading import DOCS, blocks_of
from tests.running import POLICY
from tests.security.process import serving, standing

PAGES: Mapping[str, str] = {
    "openai_python": "openai-python.md",
    "openai_node": "openai-node.md",
    "langchain": "langchain.md",
    "llama_index": "llama-index.md",
    "pydantic_ai": "pydantic-ai.md",
    "instructor": "instructor.md",
    "llm": "llm.md",
    "ai_sdk": "ai-sdk.md",
}
"""The page of each client that `make clients` asks."""

NO_FEEDBACK = {"llm.md"}
"""Clients that show no request id; their pages say so."""

CONVERSATIONS = {"chat-42", "command-line"}
"""What the pages call their conversation."""

PLACE = "http://127.0.0.1:8080"
"""Where pages say that the gateway is."""

SECONDS = 120


class PageFailed(Exception):
    """A page's code broke, or did not do what the page says."""


def script_of(page: str, language: str, url: str) -> str:
    """All blocks of a page in one language, as the one script that the page says they are, with the real address."""
    texts = [block.text for block in blocks_of(DOCS / "clients" / page) if block.language == language]
    return "\n".join(texts).replace(PLACE, url)


def run_page(environment: Environment, url: str) -> None:
    """Runs the page's code. Raises PageFailed with what it said."""
    page, program = PAGES[environment.name], Path(environment.command[0])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "SIGNALBOX_"))}
    with tempfile.TemporaryDirectory(prefix="signalbox-page-") as folder:
        env = {**inherited, **environment.variables, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
        if environment.name == "llm":
            settings = Path(folder, "extra-openai-models.yaml")
            settings.write_text(script_of(page, "yaml", url), "utf-8")
            script, command = Path(folder, "page.sh"), ["bash", "-eu"]
            script.write_text(script_of(page, "sh", url), "utf-8")
            env["LLM_USER_PATH"] = folder
        elif program.name == "node":
            script, command = Path(environment.command[1]).with_name("page.mjs"), [str(program)]
            script.write_text(script_of(page, "js", url), "utf-8")
        else:
            script, command = Path(folder, "page.py"), [str(program)]
            script.write_text(script_of(page, "python", url), "utf-8")
        ended = subprocess.run(
            [*command, str(script)], env=env, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    if ended.returncode != 0:
        raise PageFailed(f"docs/clients/{page} ended with {ended.returncode}: {ended.stderr[-2000:]}")


class Ledger:
    """What a gateway's ledger tells of the requests of one page after the other."""

    def __init__(self, url: str):
        self._url = url
        self._seen: set[str] = set()

    def check(self, page: str) -> None:
        """Raises PageFailed where none of the requests since the last check is in the conversation that the page
        names, or none got feedback."""
        time.sleep(1)  # rows are readable within a second of the answer
        rows = self._get("/api/requests?since=1h&limit=500")["rows"]
        new = [row["request_id"] for row in rows if row["request_id"] not in self._seen]
        self._seen.update(new)
        stories = [self._get(f"/api/requests/{request_id}") for request_id in new]
        if not any(story["conversation"] in CONVERSATIONS for story in stories):
            raise PageFailed(f"docs/clients/{page}: none of {len(new)} requests was in the conversation that it names")
        if page not in NO_FEEDBACK and not any(story["labels"] for story in stories):
            raise PageFailed(f"docs/clients/{page}: none of {len(new)} requests got feedback")

    def _get(self, path: str) -> Any:
        answer = httpx.get(f"{self._url}{path}", trust_env=False)
        answer.raise_for_status()
        return answer.json()


def run_pages(environments: list[Environment]) -> list[str]:
    """Runs the pages of these clients, one after the other through one gateway; returns what failed."""
    faults = []
    with tempfile.TemporaryDirectory(prefix="signalbox-pages-") as folder, standing(*models()) as (small, large):
        with serving(Path(folder), POLICY.format(small=small, large=large)) as gateway:
            ledger = Ledger(gateway.url)
            for environment in environments:
                try:
                    run_page(environment, gateway.url)
                    ledger.check(PAGES[environment.name])
                except (PageFailed, subprocess.TimeoutExpired) as error:
                    faults.append(str(error))
    return faults


def models() -> list[StandIn]:
    """A small and a large stand-in that repeat what they are asked."""
    return [StandIn("small", lambda text: f"small says: {text}"), StandIn("large", lambda text: f"large: {text}")]
