"""The columns that add rows up to a `Tally`. What a tally's fields mean is said in `tally`, and nowhere else in SQL.

Reports group by `KINDS` beside what they are about. Then all rows of a group count alike, plain sums do, and which of
them go into a tally is decided once for the group: half the work of deciding it in SQL for each row and figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from router.ledger.tables import outcomes
from router.ledger.tally import FROM_CACHE_NOT, Tally

ANSWERED = sa.and_(outcomes.c.purpose == "chat", outcomes.c.outcome == "ok")

KINDS = (outcomes.c.purpose, outcomes.c.outcome, outcomes.c.cache)

_COST = outcomes.c.cost_nano
_BASELINE = sa.case((_COST.is_not(None), outcomes.c.baseline_nano))
_SMALL = sa.case((_COST.is_not(None), outcomes.c.always_small_nano))

SUMS = (
    sa.func.count().label("rows"),
    sa.func.sum(outcomes.c.uncached_input + outcomes.c.cache_read + outcomes.c.cache_write).label("input_tokens"),
    sa.func.sum(outcomes.c.output).label("output_tokens"),
    sa.func.sum(_COST).label("cost_nano"),
    sa.func.count(_COST).label("priced"),
    sa.func.sum(_BASELINE).label("baseline_nano"),
    sa.func.count(_BASELINE).label("baselined"),
    sa.func.sum(_SMALL).label("small_nano"),
    sa.func.count(_SMALL).label("smalled"),
    sa.func.count(sa.case((outcomes.c.usage_estimated, 1))).label("estimated"),
)
"""Over the rows of a group; those named after a verb count the rows that have such a figure."""


def is_failed(row: Mapping[Any, Any]) -> bool:
    """Whether the rows of a group came to nothing. That a caller left is no failure."""
    return row["outcome"] not in ("ok", "client_closed")


def tally_of(row: Mapping[Any, Any]) -> Tally:
    """The tally of one group."""
    rows, priced, estimated = int(row["rows"]), int(row["priced"]), int(row["estimated"])
    spend = int(row["cost_nano"] or 0)
    if row["purpose"] != "chat":
        return Tally(
            spend_nano=spend,
            inner_nano=spend,
            unpriced=rows - priced,
            inner_unpriced=rows - priced,
            estimated=estimated,
            inner_estimated=estimated,
        )
    failed = is_failed(row)
    return Tally(
        requests=rows,
        input_tokens=int(row["input_tokens"]),
        output_tokens=int(row["output_tokens"]),
        cache_hits=0 if row["cache"] in FROM_CACHE_NOT else rows,
        errors=rows if failed else 0,
        spend_nano=spend,
        baseline_nano=0 if failed else int(row["baseline_nano"] or 0),
        always_small_nano=0 if failed else int(row["small_nano"] or 0),
        unpriced=rows - priced,
        no_baseline=0 if failed else priced - int(row["baselined"]),
        no_small=0 if failed else priced - int(row["smalled"]),
        estimated=estimated,
    )
