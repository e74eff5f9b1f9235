"""One environment for each client, outside of the repository's files: made from what its folder pins, kept until that
changes. How clients are asked is in their own scripts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FOLDER = Path(os.environ.get("SIGNALBOX_CLIENTS_DIR") or ROOT / ".venv" / "clients").absolute()
_UV = ROOT / ".venv" / "bin" / "uv"


class EnvironmentFailed(Exception):
    """An environment cannot be made; says what the installer said."""


@dataclass(frozen=True)
class Environment:
    """Where a client is installed. command: starts its script."""

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]


def make(name: str) -> Environment:
    """The client's environment, made anew where its pins have changed. Raises EnvironmentFailed."""
    pins = [path for path in sorted((HERE / name).iterdir()) if path.suffix in (".txt", ".json")]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in pins)).hexdigest()
    folder, stamp = FOLDER / name, FOLDER / f"{name}.stamp"
    on_node = (HERE / name / "package.json").exists()
    if not stamp.exists() or stamp.read_text("ascii") != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (_install_node if on_node else _install_python)(name, folder)
        stamp.write_text(digest, "ascii")
    return _node(name, folder) if on_node else _python(name, folder)


def _install_python(name: str, folder: Path) -> None:
    pins = HERE / name / "requirements.txt"
    _run(_UV, "venv", "--quiet", "--no-config", "--clear", "--python", ROOT / ".venv" / "bin" / "python", folder)
    python = folder / "bin" / "python"
    _run(_UV, "pip", "install", "--quiet", "--no-config", "--require-hashes", "--python", python, "--requirement", pins)


def _python(name: str, folder: Path) -> Environment:
    command = (str(folder / "bin" / "python"), str(HERE / name / "client.py"))
    apart = {"LLM_USER_PATH": str(folder / "llm"), "DO_NOT_TRACK": "1"}
    return Environment(name, command, {"PYTHONPATH": str(HERE / "shared"), "PYTHONDONTWRITEBYTECODE": "1", **apart})


def _install_node(name: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise EnvironmentFailed(f"{name} needs Node 20 or newer with npm on PATH")
    for path in (HERE / name).glob("package*.json"):
        shutil.copy(path, folder)
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    _run(npm, "ci" if (folder / "package-lock.json").exists() else "install", *quiet, cwd=folder)


def _node(name: str, folder: Path) -> Environment:
    """Node finds packages from where a script lies, so the script is copied to them."""
    shutil.copy(HERE / name / "client.mjs", folder)
    shutil.copy(HERE / "shared" / "telling.mjs", folder)
    return Environment(name, (shutil.which("node") or "node", str(folder / "client.mjs")), {})


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise EnvironmentFailed(f"{Path(command[0]).name}: {ended.stderr[-2000:]}")
