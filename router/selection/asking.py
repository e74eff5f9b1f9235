"""Asks a model to read options once, with upstreams of its own: for the library, which keeps no connections."""

from __future__ import annotations

from collections.abc import Mapping

from router.domain import Ask, ModelSpec
from router.plans.reach import Reach
from router.policy.compiled import Facts, Selection
from router.policy.decide import SelectionNeeded
from router.selection.by_model import ByModel
from router.upstream.contract import Upstream
from router.upstream.health import Health
from router.upstream.litellm_provider import LitellmProvider
from router.upstream.openai_relay import OpenAIRelay


async def ask_once(needed: SelectionNeeded, ask: Ask, facts: Facts, models: Mapping[str, ModelSpec]) -> Selection:
    """As `ByModel.select`. The request has no id, and nothing is written down."""
    assert needed.select.model is not None
    upstream: Upstream
    if models[needed.select.model].provider == "litellm":
        upstream = litellm = LitellmProvider()
        await litellm.load()
    else:
        upstream = OpenAIRelay()
    provider = models[needed.select.model].provider
    try:
        return await ByModel(Reach({provider: upstream}, Health())).select(needed, ask, facts, models, "library", [])
    finally:
        await upstream.aclose()
