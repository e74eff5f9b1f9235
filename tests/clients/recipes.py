"""Runs the pages of docs/recipes as they stand, each with the real library of its client's environment.

Those environments do not have Signalbox: it and what it needs are found behind what they have. Part of `make clients`.
"""

from __future__ import annotations

import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.clients.environments import ROOT, Environment
from tests.docs.reading import DOCS, blocks_of

RECIPES: Mapping[str, str] = {"langchain": "langchain.md", "llama_index": "llama-index.md"}
"""The page of each client that has one."""

PICKED: Mapping[str, tuple[str, ...]] = {
    "langchain.md": ("THE CODER: MY PYTHON", "THE CLERK: HOW MANY DAYS", "ANYBODY: WHO PAINTED", "THE CLERK: WHEN IS"),
    "llama-index.md": ("code: my python", "staff: how many days", "web: who painted"),
}
"""What each page prints: who was picked for each of its questions, one of them by default."""

_SECONDS = 120
_RUN = "import runpy, sys; sys.path += sys.argv[2:]; runpy.run_path(sys.argv[1], run_name='__main__')"


def run_recipe(environment: Environment) -> str | None:
    """What went wrong with an environment's recipe; None where it did what it says."""
    page = RECIPES[environment.name]
    blocks = list(blocks_of(DOCS / "recipes" / page))
    with tempfile.TemporaryDirectory(prefix="signalbox-recipe-") as folder:
        Path(folder, "policy.yaml").write_text(
            next(block.text for block in blocks if block.language == "yaml"), "utf-8"
        )
        script = Path(folder, "page.py")
        script.write_text("\n".join(block.text for block in blocks if block.language == "python"), "utf-8")
        behind = (str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
        command = [environment.command[0], "-c", _RUN, str(script), *behind]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if ended.returncode != 0:
        return f"docs/recipes/{page} ended with {ended.returncode}: {ended.stderr[-2000:]}"
    missing = [said for said in PICKED[page] if said not in ended.stdout]
    return f"docs/recipes/{page} never said {missing}: {ended.stdout}" if missing else None


def run_recipes(environments: list[Environment]) -> list[str]:
    """Runs the recipes that these clients have; returns what failed."""
    faults = [run_recipe(environment) for environment in environments if environment.name in RECIPES]
    return [fault for fault in faults if fault is not None]
