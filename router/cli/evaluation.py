"""The command `evaluate`: asks `classifiers.training` for the figures of an outcome file and prints them.

What the figures mean is told in `classifiers.training.evaluate`. Exit code 2: a file, a model or a flag is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from classifiers.errors import ClassifierError
from router.cli.output import errors_as_exit, print_json, progress, refuse

if TYPE_CHECKING:
    from classifiers.artefact import Artefact
    from classifiers.contract import Classifier

_COLUMNS = ("apgr", "apgr_low", "apgr_high", "cpt50", "cpt80", "auc", "auc_small", "brier", "ece")


class ManyTrainFiles(TyperCommand):
    """Lets `--train` stand once before several files, as shells expand them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            spread.append(word)
            if word == "--train" and rest:
                spread.append(rest.pop(0))
                while rest and not rest[0].startswith("-"):
                    spread += ["--train", rest.pop(0)]
        return super().parse_args(ctx, spread)


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl.gz", help="An outcome file.")],
    small: Annotated[str, typer.Option(help="The small model, as the file names it.")],
    large: Annotated[str, typer.Option(help="The large model, as the file names it.")],
    artefact: Annotated[Path | None, typer.Option(help="Artefact folder; default the shipped one.")] = None,
    tier: Annotated[str | None, typer.Option(help="fast, heuristic or encoder; default that of the artefact.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, max=20, help="Fit on the file's own labels, in so many folds.")
    ] = None,
    train: Annotated[
        list[Path] | None, typer.Option(metavar="FILE...", help="Fit on the labels of these files instead.")
    ] = None,
    leave_out: Annotated[
        str | None, typer.Option(metavar="domain", help="Fit on the file's own labels, each domain left out in turn.")
    ] = None,
    labels: Annotated[
        int | None, typer.Option(min=1, help="Learn from only so many labels, drawn several times.")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also perturb and attack the judge, on the file's queries.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw quality for cost, and calibration, to this PNG.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes folds, ties, draws and resamples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what routing between two models of a file would have been worth."""
    if sum((folds is not None, bool(train), leave_out is not None)) > 1:
        refuse("--folds, --train and --leave-out are three ways to learn: name one")
    if leave_out not in (None, "domain"):
        refuse(f"--leave-out knows only domain, not {leave_out}")
    from classifiers.training.dataset import read_outcomes
    from classifiers.training.evaluate import Lessons
    from classifiers.training.evaluate import evaluate as run

    say = progress()
    with errors_as_exit(ClassifierError, OSError):
        judge, read_by, incumbent = _judges(tier, artefact, learns=bool(folds or train or leave_out))
        say(f"reading {file}")
        rows = read_outcomes(file)
        others = [(path.name, read_outcomes(path)) for path in train or ()]
        lessons = Lessons(folds, leave_out is not None, others, labels)
        figures = run(
            rows, small, large, read_by, classifier=judge, lessons=lessons, incumbent=incumbent, plot=plot, seed=seed
        )
        if robustness:
            say("perturbing and attacking")
            figures["robustness"] = _robustness(judge, read_by, [row.query for row in rows], seed)
    if as_json:
        print_json(figures)
    else:
        _print_figures(figures)


def _judges(tier: str | None, folder: Path | None, *, learns: bool) -> tuple[Classifier, Artefact, Classifier | None]:
    """(what is measured, the artefact whose features are learned from, the shipped judge where that is another)."""
    from classifiers.artefact import load_artefact
    from classifiers.learned import LearnedClassifier
    from classifiers.tiers import load_classifier

    if tier is None:
        tier = load_artefact(folder).tier if folder is not None else "fast"
    if tier == "heuristic" and folder is not None:
        refuse("the tier heuristic has no artefact")
    judge = load_classifier(tier, folder)
    shipped = LearnedClassifier.load()
    read_by = judge.artefact if isinstance(judge, LearnedClassifier) else shipped.artefact
    return judge, read_by, shipped if learns or judge.name != shipped.name else None


def _robustness(judge: Classifier, read_by: Artefact, texts: Sequence[str], seed: int) -> dict[str, Any]:
    from classifiers.contract import AskText
    from classifiers.training import robustness
    from router.ask import user_text

    def read(text: str) -> AskText:
        return AskText(user_text({"content": text}))

    return robustness.measure(judge, read_by, texts, read=read, seed=seed)


def _print_figures(figures: Mapping[str, Any]) -> None:
    typer.echo(f"{figures['n']} queries, {figures['classifier']}, {_how(figures)}")
    typer.echo(f"{figures['small']}: {figures['small_mean']:.3f}   {figures['large']}: {figures['large_mean']:.3f}")
    typer.echo(f"{'':14}" + "".join(f"{name:>10}" for name in _COLUMNS))
    rows = {"router": figures["router"], "linear heads": figures["linear_heads"], **figures["baselines"]}
    for name, row in {**rows, "oracle": figures["oracle"]}.items():
        if row is not None:
            typer.echo(f"{name:14}" + "".join(f"{_cell(row[column]):>10}" for column in _COLUMNS))
    router = figures["router"]
    typer.echo(f"CPU per query: p50 {router['ms_p50']:.3f} ms, p99 {router['ms_p99']:.3f} ms")
    typer.echo(
        f"wasted {figures['wasted_share']:.3f}, at risk {figures['risk_share']:.3f}, "
        f"share of always-large's bill at 95% of its quality: {_cell(figures['cost_at_95'])}"
    )
    if "robustness" in figures:
        _print_robustness(figures["robustness"])


def _how(figures: Mapping[str, Any]) -> str:
    drawn = f", {figures['labels']} labels at a time ({figures['draws']} draws)" if figures["labels"] else ""
    if figures["folds"]:
        return f"{figures['folds']} folds on the file's own labels{drawn}"
    if figures["leave_out"]:
        return f"each domain judged from the labels of the others{drawn}"
    if figures["train"]:
        return f"from labels of {figures['learned_from']} in {', '.join(figures['train'])}{drawn}"
    return "as it is"


def _print_robustness(found: Mapping[str, Any]) -> None:
    typer.echo(f"\nDecisions at {found['threshold']} that stay, {found['n']} asks: {found['unchanged']:.3f}")
    for row in found["perturbations"]:
        typer.echo(
            f"{row['kind']:34}{row['unchanged']:8.3f}   to large {row['to_large']:.3f}   to small {row['to_small']:.3f}"
        )
    typer.echo(f"Uplift in points, of {found['to_small']} asks for the small model")
    if not found["attacks"]:
        typer.echo("(too few of them to find an attack on some and try it on others)")
    for row in found["attacks"]:
        typer.echo(
            f"{row['attack']:34}{row['uplift_undefended']:8.1f} undefended{row['uplift_defended']:8.1f} defended"
        )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
