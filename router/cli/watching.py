"""`signalbox watch`: looks after the judges beside the gateways, turn by turn, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import asdict
from typing import Annotated

import orjson
import typer

from classifiers.errors import ClassifierError
from router.cli.output import FOUND, JSON_OPTION, OUT_OF_REACH, errors_as_exit
from router.errors import BadRequest, ConfigError, StoreAway, StoreBusy
from router.learning.turns import Turn
from router.ledger.store import SqlStore
from router.ledger.window import read_span
from router.settings import Settings, read_settings
from router.telemetry import set_up_logging


def watch(
    every: Annotated[str, typer.Option(help="How long from one look to the next: 30s, 5m, 1h.")] = "5m",
    window: Annotated[str, typer.Option(help="The requests that are looked at for drift: 24h, 7d.")] = "24h",
    once: Annotated[bool, typer.Option(help="Look once and end; exit code 1 where something needs a look.")] = False,
    labels: Annotated[
        int, typer.Option(min=30, help="Labelled conversations of a canary, from which it may be promoted.")
    ] = 200,
    promote: Annotated[bool, typer.Option(help="Promote a canary that is shown to be not worse.")] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """Look after the judges: drift of the traffic, canaries and promotions; roll back what is worse."""
    from router.learning.rounds import once as look_once
    from router.learning.rounds import rounds
    from router.learning.watching import Watch

    def tell(turn: Turn) -> None:
        if as_json:
            sys.stdout.write(orjson.dumps(asdict(turn), option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
            sys.stdout.flush()
        elif once:
            typer.echo("\n".join(in_words(turn)))

    async def run(settings: Settings, every_seconds: float, window_seconds: float) -> bool:
        store = SqlStore(settings.store_url)
        looks = Watch(
            store,
            tier="encoder" if settings.classifier == "encoder" else "fast",
            folder=settings.artefact,
            window_seconds=window_seconds,
            wanted=labels,
            promote=promote,
        )
        try:
            if once:
                turn = await look_once(store, looks)
                tell(turn)
                return turn.needs_a_look
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
            await rounds(store, looks, every_seconds, stop, tell)
            return False
        finally:
            await store.aclose()

    with (
        errors_as_exit(BadRequest, ConfigError, ClassifierError),
        errors_as_exit(StoreAway, StoreBusy, code=OUT_OF_REACH),
    ):
        settings = read_settings()
        set_up_logging(settings.log_level, settings.log_format)
        found = asyncio.run(run(settings, read_span(every, "every"), read_span(window, "window")))
    if found:
        raise typer.Exit(FOUND)


def in_words(turn: Turn) -> list[str]:
    """One turn for a person to read."""
    lines = [f"{turn.at}  {turn.judge} judges"]
    if turn.drift is not None:
        reference = turn.drift["reference"]
        lines.append(f"against the {reference['origin']} of {reference['artefact'][:20]} ({reference['n']} requests):")
        for part in turn.drift["parts"]:
            moved = "too few to say" if part["moved"] is None else f"moved {part['moved']:+.3f}, p {part['p']:.2g}"
            lines.append(f"  {part['name']:9} {part['n']:6} values  {moved}{'  DRIFT' if part['alarm'] else ''}")
    for what, document in (("canary", turn.canary), ("promotion", turn.promotion)):
        if document is not None:
            told = document["told"]
            lines.append(f"{what}: {told['verdict'] if what == 'canary' else 'fell' if told['fell'] else 'holds'}")
    lines += turn.notes
    if turn.did is not None:
        lines.append(f"{turn.did}: {turn.reason}")
    return lines
