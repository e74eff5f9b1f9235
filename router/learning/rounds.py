"""Turn after turn of the watch until it is told to stop, alone on its ledger, through every absence of the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from router.errors import StoreAway, StoreBusy
from router.learning.turns import Turn
from router.learning.watching import Watch
from router.ledger.contract import Store

log = logging.getLogger(__name__)

ALONE: Final = "watch"
AGAIN_SECONDS: Final = 5.0
"""How soon a ledger is asked again that is away, or that another watch looks after."""


async def once(store: Store, watch: Watch) -> Turn:
    """One turn. Raises StoreAway, and StoreBusy where another watch is running."""
    await store.open()
    async with store.alone(ALONE):
        return await watch.turn()


async def rounds(
    store: Store,
    watch: Watch,
    every_seconds: float,
    stop: asyncio.Event,
    tell: Callable[[Turn], None],
    *,
    again_seconds: float = AGAIN_SECONDS,
) -> None:
    """A turn now and after every so many seconds. Raises what `store.open` raises but StoreAway.

    The turn on the ledger is given up and taken anew each time, so that one that was lost with the database is noticed.
    """
    told, opened, begun = "", False, False
    while not stop.is_set():
        pause = again_seconds
        try:
            if not opened:
                await store.open()
                opened = True
            async with store.alone(ALONE):
                if told or not begun:
                    log.info("the judges of this ledger are looked after%s", " again" if begun else "")
                told, begun = "", True
                await _turn(watch, tell)
                await _wait(stop, every_seconds)
                pause = 0.0
        except (StoreAway, StoreBusy) as error:  # told once, until it is another or was over in between
            if str(error) != told:
                told = str(error)
                log.warning("nothing is looked after just now: %s", error)
        await _wait(stop, pause)


async def _turn(watch: Watch, tell: Callable[[Turn], None]) -> None:
    try:
        turn = await watch.turn()
    except StoreAway:
        raise
    except Exception:
        log.exception("a turn of the watch failed; it goes on")
        return
    tell(turn)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
