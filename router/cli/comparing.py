"""`signalbox compare`: what another judge or policy would have been worth on the traffic that was logged."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.output import FOUND, JSON_OPTION, OUT_OF_REACH, errors_as_exit, note, print_json
from router.cli.policy_trial import judge_of_settings
from router.errors import BadRequest, ConfigError, NotFound, SettingsError, StoreAway

if TYPE_CHECKING:
    from classifiers.artefact import Artefact
    from classifiers.training.measures import Figure
    from router.ledger.registry import Registry
    from router.policy.compiled import Policy
    from router.trial.estimated import Estimated, Told
    from router.trial.sides import Side

    Named = Policy | Artefact | str | None

CURRENT = "current"
_LATE = 0.1
_SHA256 = re.compile(r"[0-9a-fA-F]{6,64}")


class By(StrEnum):
    """Whose labels count."""

    AUDIT = "audit"
    JUDGE = "judge"
    VERIFIER = "verifier"
    USER = "user"
    ALL = "all"


def compare(
    candidate: Annotated[
        str,
        typer.Option(help="An artefact's folder, its sha256 in the registry, or a policy file.", metavar="WHAT"),
    ],
    against: Annotated[str, typer.Option(help="The same; or what serves now.", metavar="WHAT")] = CURRENT,
    since: Annotated[str, typer.Option(help="Requests since then: a span or an RFC 3339 time.")] = "30d",
    policy: Annotated[
        Path | None, typer.Option(help="The policy that serves; default SIGNALBOX_POLICY.", metavar="FILE")
    ] = None,
    labels: Annotated[By, typer.Option(help="Whose labels count. One kind at a time: their scales differ.")] = By.AUDIT,
    within: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="The widest interval of the difference, to either side.")
    ] = 0.05,
    as_json: bool = JSON_OPTION,
) -> None:
    """Estimate from the logs what a candidate is worth and costs: 0 told, 1 they cannot say, 2 bad input."""
    from classifiers.errors import ClassifierError

    with (
        errors_as_exit(NotFound, BadRequest, ConfigError, ClassifierError),
        errors_as_exit(StoreAway, code=OUT_OF_REACH),  # the inner one, for it is a ConfigError too
    ):
        named = _read(candidate), _read(against)
        found, names, notes = asyncio.run(_compare(*named, since, policy, labels, within))
    if as_json:
        print_json({**names, "since": since, "labels": labels.value, **found.document(), "notes": notes})
    else:
        for line in [f"candidate {names['candidate']}", f"against   {names['against']}", *_lines(found)]:
            typer.echo(line)
        for one in notes:
            note(f"note: {one}")
    if found.refusal is not None:
        raise typer.Exit(FOUND)


async def _compare(
    candidate: Named, against: Named, since: str, policy: Path | None, labels: By, within: float
) -> tuple[Estimated, dict[str, str], list[str]]:
    from router.ledger.answers import answers
    from router.ledger.registry import Registry
    from router.ledger.store import SqlStore
    from router.ledger.window import read_window
    from router.settings import read_settings
    from router.trial.estimated import estimate

    settings = read_settings()
    window = read_window(since)
    store = SqlStore(settings.store_url)
    try:
        await store.open()
        sides = _Sides(Registry(store), policy or settings.policy)
        ours = await sides.of(candidate, None)
        theirs = await sides.of(against, ours)
        rows = [one async for batch in answers(store, window, labels.value) for one in batch]
    finally:
        await store.aclose()
    found = estimate(rows, ours, theirs, half_width=within)
    notes = list(dict.fromkeys([*ours.notes(), *theirs.notes()]))
    if labels is not By.AUDIT:
        notes.append(f"labels by {labels.value} are taken as given to any request alike; audits are, by design")
    if found.before_audits > _LATE:
        notes.append(f"{found.before_audits:.0%} of the requests came before the first audit: better --since that one")
    return found, {"candidate": ours.name, "against": theirs.name}, notes


def _read(what: str) -> Named:
    """A policy or an artefact from disk, a sha256 that the registry may know, or None for what serves now."""
    from classifiers.artefact import load_artefact
    from router.policy.load import load_policy

    path = Path(what)
    if what == CURRENT:
        return None
    if path.is_dir():
        return load_artefact(path)
    if path.is_file():
        return load_policy(path, os.environ)
    if not _SHA256.fullmatch(what):
        raise SettingsError(f"{what!r} is no artefact's folder, no policy file and no sha256 of the registry.")
    return what


class _Sides:
    """Makes sides of what the command was given. policy: the file of the one that serves."""

    def __init__(self, registry: Registry, policy: Path | None):
        self._registry, self._file = registry, policy
        self._judge = judge_of_settings()

    async def of(self, named: Named, other: Side | None) -> Side:
        """other: the candidate, where `named` is what it is held against; what is current is of its kind."""
        from classifiers.artefact import Artefact
        from classifiers.learned import LearnedClassifier
        from router.trial.sides import Side

        judging = None if other is None else other.classifier
        if named is None and judging is not None:
            named = await self._current(judging.artefact.tier)
        elif isinstance(named, str):
            named = await self._kept(named)
        if not isinstance(named, Artefact):
            policy = named or self._serving()
            return Side(policy.label, policy, self._judge)
        policy, classifier = self._serving(), LearnedClassifier(named)
        return Side(f"{classifier.name} under {policy.label}", policy, self._judge, classifier)

    def _serving(self) -> Policy:
        from router.policy.load import load_policy

        if self._file is None:
            raise SettingsError("Which policy serves? Name it by SIGNALBOX_POLICY or --policy.")
        return load_policy(self._file, os.environ)

    async def _kept(self, sha256: str) -> Artefact:
        matching = [kept.sha256 for kept in await self._registry.list() if kept.sha256.startswith(sha256.lower())]
        if len(matching) != 1:
            raise NotFound(f"{len(matching)} artefacts of the registry begin with {sha256!r}; name one.")
        return await self._fetched(matching[0])

    async def _current(self, tier: str) -> Artefact:
        """The registry's current artefact where it is of the tier, else the one that ships."""
        from classifiers.tiers import load_tier

        sha256 = await self._registry.current()
        if sha256 is not None:
            artefact = await self._fetched(sha256)
            if artefact.tier == tier:
                return artefact
        return load_tier(tier)

    async def _fetched(self, sha256: str) -> Artefact:
        from classifiers.artefact import unpack

        with tempfile.TemporaryDirectory(prefix="signalbox-") as scratch:
            return unpack(await self._registry.fetch(sha256), Path(scratch) / "artefact")


def _lines(found: Estimated) -> Iterator[str]:
    yield f"requests  {found.requests} compared, {found.audited} of them audited"
    for why, count in sorted(found.left_out.items(), key=lambda item: -item[1]):
        yield f"left out  {count}: {why}"
    if (enough := found.support) is not None:
        yield f"differ    on {enough.differs:.1%} of them; seen there: {enough.effective:.0f} (effective sample size)"
    if found.refusal is not None:
        yield found.refusal
    if found.quality is not None:
        yield from _table("quality", found.quality, 1.0, ".3f")
    if found.cost_usd is not None:
        yield from _table("dollars for 1,000 requests", found.cost_usd, 1000.0, ".3g")
    elif found.quality is not None:
        yield "cost      unknown: a choice's cost was never seen on some requests"


def _table(name: str, told: Told, times: float, digits: str) -> Iterator[str]:
    yield f"{name:28}{'IPS':>31}{'SNIPS':>31}{'doubly robust':>31}{'effective':>11}"
    for side in ("candidate", "current", "difference"):
        one = getattr(told, side)
        cells = "".join(f"{_shown(figure, times, digits):>31}" for figure in (one.ips, one.snips, one.dr))
        yield f"  {side:26}{cells}{one.effective:>11.0f}"


def _shown(figure: Figure, times: float, digits: str) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "-"
    value, low, high = (format(end * times, digits) for end in (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]"
