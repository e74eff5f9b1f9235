"""Reads pages as a machine would: the exact figures by the element they stand in, tables as cells, and plain text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "rect", "circle"}


@dataclass
class Row:
    """One table row: each cell's text, and the exact figures in it."""

    cells: list[str] = field(default_factory=list)
    figures: list[list[str]] = field(default_factory=list)


class Page(HTMLParser):
    """A page, read. figures: `<data value>` by the nearest enclosing id; rows: table rows by the same."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.figures: dict[str, list[str]] = {}
        self.rows: dict[str, list[Row]] = {}
        self.links: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.blocks: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self._in_cell = False
        self.feed(html)
        self.close()
        assert [tag for tag, _ in self._open] == [], "every element is closed"

    @property
    def text(self) -> str:
        """All that can be read, spaces as one."""
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        if tag == "script":
            self.scripts.append(named)
        if tag == "a":
            self.links.append(named["href"] or "")
        if tag not in _VOID:
            self._open.append((tag, named.get("id")))
        if tag == "tr":
            self.rows.setdefault(self._place, []).append(Row())
        if tag in ("td", "th"):
            self._in_cell = True
            self._row.cells.append("")
            self._row.figures.append([])
        if tag == "data":
            self.figures.setdefault(self._place, []).append(named["value"] or "")
            if self._in_cell:
                self._row.figures[-1].append(named["value"] or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "script":
            self.blocks.append(data)
            return
        self._words.append(data)
        if self._in_cell:
            self._row.cells[-1] = " ".join(f"{self._row.cells[-1]} {data}".split())

    @property
    def _place(self) -> str:
        return next((name for _, name in reversed(self._open) if name), "")

    @property
    def _row(self) -> Row:
        return self.rows[self._place][-1]
