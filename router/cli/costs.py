"""`signalbox costs`: what was spent and saved, read from the ledger's database; no gateway has to run."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from router.cli.output import JSON_OPTION, OUT_OF_REACH, errors_as_exit, print_json
from router.errors import BadRequest, ConfigError, StoreAway
from router.ledger.documents import costs_document
from router.ledger.reports import BYS, By, CostReport, costs
from router.ledger.store import SqlStore
from router.ledger.tally import Tally
from router.ledger.window import DEFAULT_SINCE, Window, read_window, timestamp
from router.settings import read_settings

_HEADINGS = ("requests", "in", "out", "spend $", "saved $", "cached", "errors", "unpriced")

_PIPE_WIDTH = 160
"""Columns where stdout is no terminal: nothing is cut off."""


def print_costs(
    by: Annotated[str, typer.Option(help=f"What to group by: {', '.join(BYS)}.")] = "model",
    since: Annotated[str, typer.Option(help="A span such as 24h or 7d, or an RFC 3339 time.")] = DEFAULT_SINCE,
    until: Annotated[str | None, typer.Option(help="As --since, not included; default now.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what was spent and saved. Days and hours are UTC."""
    with errors_as_exit(BadRequest, ConfigError), errors_as_exit(StoreAway, code=OUT_OF_REACH):
        report = asyncio.run(_read(read_settings().store_url, read_window(since, until), _known(by)))
    if as_json:
        print_json(costs_document(report))
    else:
        Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(costs_table(report))


def costs_table(report: CostReport) -> Table:
    """The report for a terminal, without what follows from the rest. What is not known is `?`."""
    span = f"{timestamp(report.window.since_unix)} to {timestamp(report.window.until_unix)}"
    inner = f"Spend on inner calls (audits, judge): {_amount(report.total.inner_usd)}"
    table = Table(title=span, caption=inner, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_footer=True)
    table.add_column(report.by, footer="total", min_width=8, overflow="fold")
    for heading, cell in zip(_HEADINGS, _cells(report.total), strict=True):
        table.add_column(heading, footer=cell, justify="right", no_wrap=True)
    for row in report.rows:
        table.add_row(row.key if row.key is not None else "(none)", *_cells(row.tally))
    return table


def _known(by: str) -> By:
    for known in BYS:
        if by == known:
            return known
    raise BadRequest(f"--by must be one of {', '.join(BYS)}; it is {by!r}.", param="by")


async def _read(url: str, window: Window, by: By) -> CostReport:
    store = SqlStore(url)
    try:
        await store.open()
        return await costs(store, window, by)
    finally:
        await store.aclose()


def _cells(tally: Tally) -> tuple[str, ...]:
    return (
        f"{tally.requests:,}",
        _short(tally.input_tokens),
        _short(tally.output_tokens),
        _amount(tally.spend_usd),
        _amount(tally.saved_usd),
        f"{tally.cache_hits:,}",
        f"{tally.errors:,}",
        f"{tally.unpriced:,}",
    )


def _amount(usd: float | None) -> str:
    return "?" if usd is None else f"{usd:,.4f}"


def _short(tokens: int) -> str:
    """1,234 as 1.2k, and so on."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if tokens >= size:
            return f"{tokens / size:.1f}{unit}"
    return str(tokens)
