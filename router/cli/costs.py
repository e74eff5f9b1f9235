"""`signalbox costs`: what was spent and saved, read from the ledger's database; no gateway has to run."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
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

_HEADINGS = ("requests", "in", "out", "spend $", "baseline $", "saved $", "inner $", "cache hits", "errors", "unpriced")


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
        Console().print(costs_table(report))


def costs_table(report: CostReport) -> Table:
    """The report for a terminal. What is not known is `?`."""
    span = f"{timestamp(report.window.since_unix)} to {timestamp(report.window.until_unix)}"
    table = Table(title=f"costs by {report.by}, {span}", title_justify="left", show_footer=True)
    table.add_column(report.by, footer="total")
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
    counts = (tally.requests, tally.input_tokens, tally.output_tokens)
    amounts = (tally.spend_usd, tally.baseline_usd, tally.saved_usd, tally.inner_usd)
    return (
        *(f"{count:,}" for count in counts),
        *("?" if amount is None else f"{amount:,.4f}" for amount in amounts),
        *(f"{count:,}" for count in (tally.cache_hits, tally.errors, tally.unpriced)),
    )
