"""Docs that fail when they lie: what a user can set, see or type stands in the docs."""

from __future__ import annotations

import re
from pathlib import Path

from router import errors
from router.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = "\n".join(path.read_text("utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])


def all_errors(base: type[errors.RequestError] = errors.RequestError) -> list[type[errors.RequestError]]:
    return [base, *(deeper for child in base.__subclasses__() for deeper in all_errors(child))]


def test_every_error_code_is_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for error in all_errors():
        row = re.search(rf"^\| {error.status} \| `{error.default_code}` \|", page, re.MULTILINE)
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


def test_nothing_in_the_repository_points_to_a_machine() -> None:
    suffixes = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".html", ".css", ".js", ".json"}
    skipped = {".venv", ".git", "dist", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    for path in ROOT.rglob("*"):
        if path.suffix not in suffixes or skipped & set(path.relative_to(ROOT).parts):
            continue
        found = re.search(r"(?<![\w.:/])/(?:work|root|home)/\w", path.read_text("utf-8", "replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]}"
