"""Reads the documentation: its pages, their fenced blocks, links and headings. What must hold of them is the tests'."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block. heading: the last one above it, without its number signs."""

    page: str
    language: str
    text: str
    heading: str

    @property
    def opening(self) -> str:
        """Its first line without a remark at its end, which is how lists name it."""
        first = self.text.splitlines()[0] if self.text else ""
        return first if first.startswith("#") else re.sub(r"\s+# .*", "", first)


def pages() -> list[Path]:
    """README, changelog and every page of docs/."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """`docs/quickstart.md`."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block, in order."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        above = [heading[2] for heading in _HEADING.finditer(_without_blocks(text[: found.start()]))]
        yield Block(name_of(page), found[1], found[2], above[-1] if above else "")


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages."""
    return [block for page in pages() for block in blocks_of(page) if block.language in languages]


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return _without_blocks(page.read_text("utf-8"))


def links_of(page: Path) -> list[tuple[str, str]]:
    """Links to other places of the repository, as (path or nothing, anchor or nothing)."""
    found = [link for link in _LINK.findall(prose_of(page)) if not re.match(r"[a-z]+:", link)]
    return [(link.partition("#")[0], link.partition("#")[2]) for link in found]


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    made: set[str] = set()
    for heading in _HEADING.finditer(prose_of(page)):
        plain = re.sub(r"[^\w\- ]", "", heading[2].replace("`", "").strip().lower()).replace(" ", "-")
        anchor, number = plain, 0
        while anchor in made:
            number += 1
            anchor = f"{plain}-{number}"
        made.add(anchor)
    return made


def _without_blocks(text: str) -> str:
    return _FENCE.sub("", text)
