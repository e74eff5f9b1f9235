"""`signalbox demo`: sets the stage, lets the story run, prints it, and stays until Ctrl-C.

Exit codes: 0 all of it happened; 1 some of it did not (the printout names what); 2 no real models for `--real`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from router.cli.output import FOUND, JSON_OPTION, errors_as_exit, note, print_json, progress, refuse
from router.demo import cast
from router.demo.asking import Client
from router.demo.claims import Claim, claims, overhead_ms
from router.demo.printout import lines
from router.demo.questions import Question, load, mixed
from router.demo.stage import Stage, StageError, clean_environ, stop_on_terminate
from router.demo.story import Story, tell
from router.domain import Price
from router.errors import ConfigError

REAL_QUESTIONS, REAL_TOKENS = 24, 400
"""With real models only so many are asked, for answers of at most so many tokens, since somebody pays."""


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="End after the printout; 0 only if all of it happened.")
    ] = False,
    real: Annotated[bool, typer.Option("--real", help="Use real models that are found; this may cost money.")] = False,
    as_json: bool = JSON_OPTION,
) -> None:
    """See the whole way work on this machine: no key, no Docker, no Redis, no money."""
    stop_on_terminate()
    story: Story | None = None
    promises: tuple[Claim, ...] = ()
    try:
        with Stage(clean_environ()) as stage:
            policy = _found_policy() if real else None
            progress()("starting the gateway" if policy else "starting two stand-in models and the gateway")
            address = cast.real(stage, policy) if policy else cast.simulated(stage)
            story = asyncio.run(_run(address, stage, mixed(_some(load()) if real else load()), graded=not real))
            promises = claims(story)
            _show(story, promises, address, stays=not leave, as_json=as_json)
            while not leave:
                time.sleep(3600)
    except StageError as error:
        refuse(str(error), FOUND)
    except KeyboardInterrupt:
        if story is None:
            raise
    broken = [promise.name for promise in promises if not promise.kept]
    if broken:
        refuse(f"did not happen: {', '.join(broken)}", FOUND)


async def _run(address: str, stage: Stage, asked: Sequence[Question], *, graded: bool) -> Story:
    client = Client(address, None if graded else REAL_TOKENS)
    try:
        return await tell(client, asked, progress(), (lambda: cast.retrain(stage)) if graded else None)
    finally:
        await client.aclose()


def _found_policy() -> str:
    """The policy made of the real models found; says first what asking them may cost, and lets a person say no."""
    import os

    from router.policy.discover import discover
    from router.policy.load import parse_policy

    with errors_as_exit(ConfigError):
        found = discover(os.environ)
        prices = [model.price for model in parse_policy(found.text).models.values()]
    for where in found.found:
        note(f"found {where}")
    note(f"REAL models: {REAL_QUESTIONS} questions are asked; {most_dollars(prices)}.")
    if sys.stdin.isatty():
        typer.confirm("Go on?", abort=True, err=True)
    return found.text


def most_dollars(prices: Sequence[Price | None]) -> str:
    """A bound: a question is some 100 tokens at most, and repeats are answered by the cache."""
    most = [price.input * 100 + price.output * REAL_TOKENS for price in prices if price is not None]
    if len(most) < len(prices):
        return "what that costs is not known, since not every model has a known price"
    return f"that costs at most about ${REAL_QUESTIONS * max(most) / 1e6:.2f}"


def _some(asked: Sequence[Question]) -> list[Question]:
    """A few of every level and kind, so that each claim still has something to stand on."""
    plain = [question for question in asked if question.kind == "plain"]
    repeated = [question for question in plain if question.repeat][:: len(plain) // 40]
    private = [question for question in asked if question.kind == "private" and question.demanding][:2]
    rest = [question for question in plain if not question.repeat]
    count = REAL_QUESTIONS - len(repeated) - len(private)
    return [*repeated, *private, *rest[:: max(1, len(rest) // count)][:count]]


def _show(story: Story, promises: Sequence[Claim], address: str, *, stays: bool, as_json: bool) -> None:
    if as_json:
        print_json(_document(story, promises, address))
        return
    printed = lines(story, promises, address, stays=stays)
    if not sys.stdout.isatty():
        print(*printed, sep="\n", flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    for line in printed:
        style = "green" if line.startswith("ok ") else "bold red" if line.startswith("FAILED") else ""
        console.print(Text(line, style="bold" if line.isupper() else style))


def _document(story: Story, promises: Sequence[Claim], address: str) -> dict[str, Any]:
    p50, p99 = overhead_ms(story)
    return {
        "simulated": story.relearned is not None,
        "address": address,
        "policy": story.policy,
        "questions": len(story.first),
        "repeats": len(story.again),
        "seconds": round(story.seconds, 1),
        "claims": [asdict(promise) for promise in promises],
        "explained": list(story.explained),
        "costs": story.costs,
        "overhead_ms": {"p50": round(p50, 3), "p99": round(p99, 3)},
        "retraining": None
        if story.relearned is None
        else {
            "judge_before": story.relearned.judge_before,
            "judge_after": story.relearned.judge_after,
            "asked": len(story.relearned.after),
            "moved": len(story.relearned.moved),
        },
    }
