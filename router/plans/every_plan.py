"""All plans there are, by the names that decisions call them by."""

from __future__ import annotations

from collections.abc import Mapping

from router.plans.cascade import Cascade
from router.plans.contract import Plan
from router.plans.holding import Holding
from router.plans.inner import as_it_is
from router.plans.reach import Reach
from router.plans.single import Single


def every_plan(reach: Reach) -> Mapping[str, Plan]:
    """Those that must wait hold a streamed request's connection meanwhile."""
    return {"single": Single(reach), "cascade": Holding(Cascade(reach, as_it_is))}
