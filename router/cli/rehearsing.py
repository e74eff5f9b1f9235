"""`signalbox rehearse`: what the learning loop would be worth on recorded outcomes, before it is trusted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from router.cli.output import JSON_OPTION, errors_as_exit, print_json, progress, refuse
from router.errors import SignalboxError


def rehearse(
    file: Annotated[Path, typer.Argument(help="An outcome file.", metavar="FILE")],
    small: Annotated[str, typer.Option(help="The recorded model that plays the small one.")],
    large: Annotated[str, typer.Option(help="The recorded model that plays the large one.")],
    policy: Annotated[Path | None, typer.Option(help="The policy; default the shipped `rehearsal`.")] = None,
    requests: Annotated[int, typer.Option(min=20, help="How many queries are asked.")] = 2000,
    retrain_every: Annotated[int, typer.Option(min=10, help="Requests between two turns of the loop.")] = 1000,
    audit: Annotated[float, typer.Option(min=0, max=1, help="Share of requests audited.")] = 0.1,
    review: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the other requests whose answer is scored alone.")
    ] = 0.0,
    judge_noise: Annotated[float, typer.Option(min=0, max=1, help="Share of judged scores turned round.")] = 0.1,
    judge_price: Annotated[str, typer.Option(help="Of the judge, dollars per million tokens: IN,OUT.")] = "0.15,0.6",
    shift: Annotated[str | None, typer.Option(help="Keep this domain for the second half.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes order, noise, folds.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw quality and cost over time into this PNG.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Rehearse the learning loop: the real gateway, models that answer as recorded (SIMULATED), no money spent."""
    from classifiers.errors import ClassifierError
    from classifiers.training.dataset import read_outcomes
    from router.policy.shipped import shipped_policy
    from router.rehearsal.house import Audits
    from router.rehearsal.recorded import takes
    from router.rehearsal.rehearse import Script
    from router.rehearsal.rehearse import rehearse as play

    say = progress()
    with errors_as_exit(SignalboxError, ClassifierError):
        recorded = takes(read_outcomes(file), small, large, requests, seed, shift)
        on = policy or shipped_policy("rehearsal")
        audits = Audits(audit, review, _price(judge_price), judge_noise)
        script = Script(recorded, on, retrain_every, audits, seed)
        found = asyncio.run(play(script, dict(os.environ), say))
    found = {"file": file.name, "small": small, "large": large, "requests": requests, "seed": seed, **found}
    if plot is not None:
        from router.rehearsal.picture import draw

        draw(plot, found)
    if as_json:
        print_json(found)
        return
    for line in lines(found):
        typer.echo(line)


def _price(text: str) -> tuple[float, float]:
    try:
        paid_in, paid_out = (float(part) for part in text.split(","))
    except ValueError:
        refuse("--judge-price is two numbers: dollars per million tokens in and out, such as 0.15,0.6")
    return paid_in, paid_out


def lines(found: dict[str, Any]) -> list[str]:
    """What the command prints of what `rehearse` found."""
    printed = [
        f"SIMULATED: {found['small']} and {found['large']} answer as recorded, the judge reads recorded scores.",
        "bill, audits: shares of what the large model alone would cost; others: quality kept at the same bill",
        "ece: calibration error of the small model's predicted quality; labels: requests audited so far",
        "requests   kept   bill  audits  large    ece  labels  random  length  default  oracle  small  judge",
    ]
    at = 0
    for part in found["parts"]:
        at += part["requests"]
        printed.append(
            f"{at:8}  {part['kept']:.3f}  {part['bill']:.3f}   {part['audits']:.3f}  {part['large']:.3f}  "
            f"{part['ece']:.3f}  {part['labels']:6}   {part['random']:.3f}   {part['length']:.3f}    "
            f"{part['default']:.3f}   {part['oracle']:.3f}  {part['always_small']:.3f}  {part['judge']}"
            + (" -> promoted" if part["promoted"] else "")
            + (f"  drift: {', '.join(part['drifted'])}" if part["drifted"] else "")
            + (f"  rolled back: {part['rolled_back']}" if part["rolled_back"] else "")
        )
    for what, words in (("bill", "the bill"), ("calls", "the share of calls to the large model")):
        printed.append(
            f"second half: {words} at which 95% of the large model's quality is kept, threshold in hindsight"
        )
        for name, of in found["second_half"]["hindsight"].items():
            one, beside = of[what], ""
            if less := one.get("learned_less"):
                beside = f"; learned less this: {less['value']:+.3f} [{less['low']:+.3f}, {less['high']:+.3f}]"
            printed.append(f"  {name:8} {one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]{beside}")
    for name, fixed in found["second_half"]["fixed_beforehand"].items():
        for sure, one in fixed.items():
            told = "none could be set" if one is None else f"kept {one['kept']:.3f} for {one['bill']:.3f} of the bill"
            margin = "with a margin (95% sure)" if sure == "sure" else "without a margin"
            printed.append(f"  {name:8} threshold fixed beforehand on the first half's audits, {margin}: {told}")
    for half in ("first_half", "second_half"):
        served = found[half]["served"]
        printed.append(
            f"{half.replace('_', ' ')} as served: kept {served['kept']:.3f} for {served['bill']:.3f} of the bill "
            f"and {served['audits']:.3f} for audits and judging"
        )
    return printed
