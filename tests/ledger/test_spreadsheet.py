"""CSV holds what it was given, whatever that is, and nothing in it runs in a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.api.export import COST_COLUMNS, REQUEST_COLUMNS
from router.ledger.documents import row_document, tally_document
from router.ledger.spreadsheet import csv_lines, safe_text
from router.ledger.store import SqlStore
from router.ledger.tally import Tally

from .outcomes import an_outcome
from .test_control import application

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
    "|calc",
    "%0A=1",
    "\u00a0=1",
    "\ufeff=1",
]

cells = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(rows=st.lists(st.tuples(cells, cells), max_size=5))
def test_what_goes_in_comes_out_again(rows: list[tuple[Any, Any]]) -> None:
    text = "".join(csv_lines([{"a": first, "b": second} for first, second in rows], ("a", "b")))
    head, *found = read(text)
    assert head == ["a", "b"]
    assert len(found) == len(rows)
    for line, row in zip(found, rows, strict=True):
        for cell, value in zip(line, row, strict=True):
            match value:
                case None:
                    assert cell == ""
                case bool():
                    assert cell == ("yes" if value else "no")
                case int() | float():
                    assert math.isclose(float(cell), value)
                case _:
                    assert cell in (value, f"'{value}")


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_that_looks_like_a_formula_stays_one(text: str) -> None:
    [_, [cell]] = read("".join(csv_lines([{"a": text}], ("a",))))
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["", "easy", "a=b", "5-1", "günstig; =1", "req_1"])
def test_other_text_stays_as_it_is_but_quoted(text: str) -> None:
    assert safe_text(text) == text
    assert "".join(csv_lines([{"a": text}], ("a",), head=False)) == f'"{text}"\r\n'


def test_numbers_below_zero_are_numbers() -> None:
    assert "".join(csv_lines([{"a": -0.5}], ("a",), head=False)) == "-0.5\r\n"


def test_a_file_has_every_column_of_its_document() -> None:
    assert set(REQUEST_COLUMNS) == set(row_document(an_outcome()))
    assert set(COST_COLUMNS) == {"key", *tally_document(Tally())}


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_files_are_named_kept_by_nobody_and_whole(store: SqlStore, size: int) -> None:
    await store.write([an_outcome(rule="=cmd|' /C calc'!A0") for _ in range(size)])
    transport = httpx.ASGITransport(application(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        for path in ("/api/export/requests?since=1h", "/api/export/costs?since=1h&by=rule"):
            as_csv, as_json = await http.get(path), await http.get(f"{path}&format=json")
            assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
            assert as_csv.headers["content-disposition"].endswith('.csv"')
            assert as_json.headers["content-type"] == "application/json"
            for answer in (as_csv, as_json):
                assert answer.status_code == 200
                assert answer.headers["content-disposition"].startswith("attachment; ")
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["x-content-type-options"] == "nosniff"
            lines = read(as_csv.text)[1:]
            assert len(lines) == len(as_json.json()["rows"]) == (size if "requests" in path else min(size, 1))
            assert not any(cell.startswith("=") for line in lines for cell in line)
            assert size == 0 or as_json.json()["rows"][0].get("rule", "=cmd|' /C calc'!A0").startswith("=cmd")


@pytest.mark.parametrize("query", ["format=xml", "since=x", "sort=colour", "status=99", "purpose=fun"])
async def test_a_file_that_cannot_be_made_is_an_error_not_a_file(store: SqlStore, query: str) -> None:
    transport = httpx.ASGITransport(application(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        answer = await http.get(f"/api/export/costs?{query}")
    assert answer.status_code in (400, 422)
    assert "content-disposition" not in answer.headers


async def test_a_lost_database_is_said_before_a_file_begins() -> None:
    store = SqlStore("postgresql://nobody@127.0.0.1:1/nothing")
    transport = httpx.ASGITransport(application(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        for path in ("/api/export/requests", "/api/export/costs", "/api/tail"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_away")
    await store.aclose()
