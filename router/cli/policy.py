"""`signalbox policy`: check a policy file, explain what it does with an ask, print its JSON Schema. Calls no model."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from router.cli.output import FOUND, JSON_OPTION, errors_as_exit, print_json, refuse
from router.domain import ModelSpec
from router.errors import ConfigError, RequestError
from router.policy.compiled import Facts, Policy, Route

app = typer.Typer(help="Check and explain policies, without calling any model.", no_args_is_help=True)

FILE = Annotated[Path, typer.Argument(help="The policy file.", metavar="FILE")]


@app.command()
def check(file: FILE, as_json: bool = JSON_OPTION) -> None:
    """Load a policy as the gateway would: 0 it is fine, 1 it loads but a part can never act, 2 it does not load."""
    from router.cli.policy_beside import beside_faults
    from router.policy.document import read_document
    from router.policy.load import load_policy
    from router.policy.review import review

    with errors_as_exit(ConfigError):
        policy = load_policy(file, os.environ)
        seen = review(policy)
        document = None if not seen.findings else read_document(file.read_text("utf-8-sig"), str(file), os.environ)
    findings = [str(document.error(str(finding), finding.at)) for finding in seen.findings if document is not None]
    findings += beside_faults(file, policy)
    if as_json:
        print_json(
            {
                "policy": policy.label,
                "models": list(policy.models),
                "routes": list(policy.routes),
                "findings": findings,
                "notes": list(seen.notes),
            }
        )
    else:
        typer.echo(f"{policy.label}: {len(policy.models)} models, {len(policy.routes)} routes")
        for finding in findings:
            typer.echo(f"finding: {finding}")
        for note in seen.notes:
            typer.echo(f"note: {note}")
    if findings:
        raise typer.Exit(FOUND)


@app.command()
def explain(
    file: FILE,
    ask: Annotated[str | None, typer.Option(help="The question, as a user would put it.")] = None,
    body: Annotated[Path | None, typer.Option(help="A whole chat body (JSON) instead; `-` reads stdin.")] = None,
    model: Annotated[str | None, typer.Option(help="The route, or a model named outright.")] = None,
    private: Annotated[
        list[str] | None, typer.Option(help="Take this kind as found (`email`, ...); repeatable.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Who asks.")] = "default",
    tag: Annotated[list[str] | None, typer.Option(help="A tag of the caller's key; repeatable.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="A request header, `name: value`; repeatable.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Say who would answer an ask, and why: 0 somebody, 1 nobody may, 2 bad input. --json answers as POST /v1/route."""
    from router.cli.policy_beside import canary_of
    from router.policy.decide import resolve
    from router.policy.load import load_policy
    from router.policy.suggest import did_you_mean
    from router.privacy import KINDS

    for kind in private or ():
        if kind not in KINDS:
            refuse(f"no kind of private text is called `{kind}`{did_you_mean(kind, KINDS)}")
    with errors_as_exit(ConfigError):
        policy = load_policy(file, os.environ)
        values = _body(ask, body, model)
        facts = Facts(
            tenant=tenant,
            key_tags=tuple(tag or ()),
            headers=_headers(header or []),
            metadata=values.get("metadata") or {},
            at=datetime.now(UTC),
        )
    with errors_as_exit(RequestError):
        target = resolve(policy, values["model"])
    try:
        told = _explained(policy, target, values, tuple(private or ()), facts)
        told |= canary_of(file, policy, values, facts.headers, tenant)
    except RequestError as error:
        if not as_json:
            refuse(f"refused with {error.status}: {error.message}", FOUND)
        print_json(error.body())
        raise typer.Exit(FOUND) from None
    if as_json:
        print_json(told)
    else:
        _print(policy, target if isinstance(target, Route) else None, told)


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for editors."""
    from router.policy.schema import json_schema

    sys.stdout.write(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode() + "\n")


def _body(ask: str | None, body: Path | None, model: str | None) -> dict[str, Any]:
    """The chat body to explain, checked as the gateway checks it."""
    from router.api.chat import chat_request

    if (ask is None) == (body is None):
        refuse('give either --ask "a question" or --body FILE')
    if body is None:
        raw = orjson.dumps({"model": model or "auto", "messages": [{"role": "user", "content": ask}]})
    else:
        try:
            raw = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
        except OSError as error:
            refuse(f"{body} cannot be read: {error.strerror}")
    with errors_as_exit(RequestError):
        values = dict(chat_request("none", raw, {}).body.values)
    return values if model is None else {**values, "model": model}


def _headers(given: list[str]) -> dict[str, str]:
    headers = {}
    for line in given:
        name, colon, value = line.partition(":")
        if not colon:
            refuse(f"--header wants `name: value`, not {line!r}")
        headers[name.strip().lower()] = value.strip()
    return headers


def _explained(
    policy: Policy, target: Route | ModelSpec, values: dict[str, Any], private: tuple[str, ...], facts: Facts
) -> dict[str, Any]:
    """The explanation, by the judge that a gateway with these settings would start with."""
    from msgspec.structs import replace

    from classifiers.tiers import embedder_of
    from router.ask import read_ask
    from router.judge import Judge, unsure
    from router.learning.uptake import load_judge
    from router.policy.explain import explanation
    from router.selection.by_embedding import ByEmbedding, vectors_of
    from router.selection.deciding import at_once, decide_selecting
    from router.selection.selectors import likeness_alone
    from router.settings import read_settings

    ask = read_ask(values, policy.scanner)
    ask = replace(ask, private=tuple(sorted({*ask.private, *private})))
    with errors_as_exit(ConfigError):
        classifier = load_judge(read_settings())
    assessment = Judge(classifier).assess(ask.text, policy.cards) or unsure(policy.cards)
    selects = likeness_alone(ByEmbedding(vectors_of(classifier), embedder_of(classifier)))
    _, verdict = at_once(decide_selecting(assessment, policy, target, ask, facts, selects))
    route = target.name if isinstance(target, Route) else None
    return explanation("none", policy, route, ask, assessment, verdict)


def _print(policy: Policy, route: Route | None, told: dict[str, Any]) -> None:
    from router.policy.in_effect import in_effect

    ask, judged, decision = told["ask"], told["assessment"], told["decision"]
    cost = decision["expected_cost_usd"]
    typer.echo(f"policy    {told['policy']}, {'route ' + route.name if route else 'a model named outright'}")
    typer.echo(
        f"ask       {ask['input_tokens']} tokens, {ask['task']}, {ask['language']}, "
        f"private: {', '.join(ask['private']) or 'no'}"
    )
    quality = ", ".join(f"{name} {share:.2f}" for name, share in judged["quality"].items())
    typer.echo(f"judge     complexity {judged['complexity']:.2f}, quality {quality} ({judged['classifier']})")
    for name, able in told["eligible"].items():
        typer.echo(f"may serve {name}: {'yes' if able is True else 'no, ' + able}")
    for rule in told["rules"]:
        typer.echo(f"rule      {'*' if rule['matched'] else ' '} {rule['name']}: {rule['why']}")
    then = f", then {', '.join(decision['fallback'])}" if decision["fallback"] else ""
    expected = "cost unknown" if cost is None else f"about ${cost:.6f}"
    typer.echo(f"answers   {decision['model']}{then} by rule `{decision['rule']}` ({expected})")
    if canary := told.get("canary"):
        rules = "rules over this conversation instead" if canary["rules"] else "does not rule over this conversation"
        typer.echo(f"canary    {canary['policy']} ({canary['share']:.0%} of conversations) {rules}")
    typer.echo("\nin effect")
    for key, value in in_effect(policy, route):
        typer.echo(f"  {key} = {value}")
