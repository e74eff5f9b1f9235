"""All plans there are, by the names that decisions call them by."""

from __future__ import annotations

from collections.abc import Mapping

from router.plans.agree import Agree
from router.plans.cascade import Cascade
from router.plans.contract import Plan
from router.plans.fan_out import FanOut
from router.plans.holding import Holding
from router.plans.reach import Reach
from router.plans.retrieve import Retrieve
from router.plans.single import Single
from router.plans.sources import Finds, Sources


def every_plan(reach: Reach, retrievers: Finds) -> Mapping[str, Plan]:
    """Those that must wait hold a streamed request's connection meanwhile."""
    sources = Sources(retrievers)
    return {
        "single": Single(reach),
        "retrieve": Retrieve(reach, sources),
        "cascade": Holding(Cascade(reach, sources.ask_of)),
        "agree": Holding(Agree(reach, sources.ask_of)),
        "fan_out": Holding(FanOut(reach, sources.ask_of)),
    }
