"""`signalbox costs` reads the ledger's file and speaks plainly, also when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from router.cli.costs import print_costs
from router.ledger.store import SqlStore

from .outcomes import an_outcome

app = typer.Typer()
app.command()(print_costs)


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"SIGNALBOX_DATABASE_URL": url})


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    store = SqlStore(url)
    await store.open()
    await store.write([an_outcome(route="auto", cost_nano=2_000_000, baseline_nano=5_000_000) for _ in range(3)])
    await store.write([an_outcome(route=None, cost_nano=None)])
    await store.aclose()
    return url


def test_costs_are_printed_as_a_table(url: str) -> None:
    done = run(url, "--by", "route", "--since", "24h")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert lines["auto"] == ["3", "30", "60", "0.0060", "0.0090", "0", "0", "0"]
    assert lines["(none)"] == ["1", "10", "20", "?", "?", "0", "0", "1"]
    assert lines["total"] == ["4", "40", "80", "0.0060", "0.0090", "0", "0", "1"]


def test_costs_are_printed_as_the_api_answers_them(url: str) -> None:
    document = json.loads(run(url, "--json").stdout)
    assert (document["by"], document["total"]["requests"], document["total"]["spend_usd"]) == ("model", 4, 0.006)


@pytest.mark.parametrize(
    ("database", "arguments", "code", "words"),
    [
        (None, ("--by", "colour"), 2, "--by must be one of"),
        (None, ("--since", "yesterday"), 2, "`since` must be"),
        ("mysql://localhost/x", (), 2, "must be sqlite"),
        ("postgresql://nobody@127.0.0.1:1/x", (), 3, "out of reach"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_with_its_exit_code(
    url: str, database: str | None, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = run(database or url, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
