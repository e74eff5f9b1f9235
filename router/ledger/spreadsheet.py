"""Reports as CSV for spreadsheets (RFC 4180). Which rows there are, and what they mean, is the reports' business.

A spreadsheet runs a cell that begins like a formula, and names here are partly the callers': such text gets an
apostrophe in front (OWASP, "CSV Injection"). All text is quoted, so that a semicolon in it is no column elsewhere
either; numbers stand bare, and what is not known is an empty cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠|%")


def csv_lines(documents: Iterable[Mapping[str, Any]], columns: Sequence[str], *, head: bool = True) -> Iterator[str]:
    """One line for each document, ended by CR LF; first the names of the columns, unless `head` is off."""
    held = io.StringIO()
    write = csv.writer(held, quoting=csv.QUOTE_NONNUMERIC).writerow
    for cells in [columns] if head else []:
        write(cells)
    for document in documents:
        write([_cell(document[name]) for name in columns])
        yield held.getvalue()
        held.seek(0)
        held.truncate()
    if held.tell():
        yield held.getvalue()


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA_STARTS) else text


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    return value if isinstance(value, int | float) else safe_text(str(value))
