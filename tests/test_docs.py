"""Docs that fail when they lie: what a user can set, see or type stands in the docs.

Whether the pages hang together, and do what they say when they are followed, is tested in tests/docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from router import cli, errors
from router.pipeline import _HEADERS_UPSTREAM as HEADERS_UP
from router.policy.load import load_policy, parse_policy
from router.policy.shipped import shipped_policy
from router.settings import Settings
from router.upstream.openai_relay import _HEADERS_BACK as HEADERS_BACK

ROOT = Path(__file__).parent.parent
DOCS = "\n".join(path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])


def all_errors(base: type[errors.RequestError] = errors.RequestError) -> list[type[errors.RequestError]]:
    return [base, *(deeper for child in base.__subclasses__() for deeper in all_errors(child))]


def test_every_error_code_is_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for error in all_errors():
        row = re.search(rf"^\| {error.status} \| `{error.default_code}` \| {error.fault} \|", page, re.MULTILINE)
        assert row or error.__subclasses__(), f"{error.__name__}: {error.status} {error.default_code}"


def test_the_error_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    for error in all_errors():
        assert error.__name__ in (errors.__doc__ or "")


def test_every_setting_is_documented() -> None:
    for name in Settings.model_fields:
        assert f"SIGNALBOX_{name.upper()}" in DOCS, name


def test_every_header_is_documented() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "router").rglob("*.py"))
    for name in set(re.findall(r'b"(x-signalbox-[a-z-]+)"', sources)):
        assert name in DOCS, name


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_every_command_is_documented() -> None:
    commands = set(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
    assert len(commands) > 10
    assert not [name for name in commands if f"signalbox {name}" not in DOCS]


def commands_of(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    else:
        for word, deeper in inner.items():
            yield from commands_of(deeper, f"{name} {word}".strip())


def test_every_option_is_on_the_page_of_commands() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    options = {
        (name, option)
        for name, command in commands_of(typer.main.get_command(cli.app))
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option not in ("--json", "--help")
    }
    assert len(options) > 20
    assert sorted((name, option) for name, option in options if f"`{option}" not in page) == []


def test_headers_that_pass_between_caller_and_upstream_are_documented() -> None:
    page = (ROOT / "docs" / "http.md").read_text("utf-8")
    for name in (*HEADERS_UP, *HEADERS_BACK):
        assert f"`{name}`" in page


def test_the_readmes_policy_means_what_the_shipped_default_means() -> None:
    [text] = [block for block in blocks("yaml", "README.md") if block.startswith("version: 1")]
    env = {"ANTHROPIC_API_KEY": "x"}
    assert parse_policy(text, env=env).digest == load_policy(shipped_policy("default"), env).digest


def test_the_readmes_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [code] = blocks("python", "README.md")
    exec(compile(code.replace("policies/", f"{ROOT}/policies/"), "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("small\n")


def test_make_targets_named_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)) <= targets


def test_nothing_in_the_repository_points_to_a_machine() -> None:
    suffixes = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".html", ".css", ".js", ".json"}
    skipped = {".venv", ".git", "dist", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    for path in ROOT.rglob("*"):
        if path.suffix not in suffixes or skipped & set(path.relative_to(ROOT).parts):
            continue
        found = re.search(r"(?<![\w.:/])/(?:work|root|home)/\w", path.read_text("utf-8", "replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]}"
