"""The commands that make and show artefacts: train, artefacts. What they do is in `classifiers`.

Exit codes: 0 fine; 1 a finding (an artefact that does not verify); 2 bad input (a file, a model, a flag).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from classifiers.errors import ArtefactError, ClassifierError
from router.cli.output import FOUND, errors_as_exit, print_json, progress, refuse
from router.errors import ConfigError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seed = Annotated[int, typer.Option(help="Fixes folds, ties and resamples.")]


def train(
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Outcome files (*.jsonl.gz) or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the artefact to.")],
    tier: Annotated[str, typer.Option(help="`fast`, or `encoder` where that is installed.")] = "fast",
    seed: Seed = 0,
    vectors: Annotated[
        Path | None, typer.Option(help="Folder of word vectors; default those of the shipped artefact.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train an artefact from outcome files and the seed prompts, and measure it."""
    from classifiers.encoder import load_encoder
    from classifiers.tiers import SHIPPED
    from classifiers.training.train import train as run
    from classifiers.vectors import load_vectors
    from router.settings import read_settings

    if tier not in SHIPPED:
        refuse(f"--tier {tier}: only {' and '.join(SHIPPED)} are trained")
    with errors_as_exit(ClassifierError, ConfigError, OSError, ValueError):
        table = load_vectors(vectors) if vectors is not None else None
        settings = read_settings()
        encoder = load_encoder(settings.encoder_model, threads=settings.encoder_threads) if tier == "encoder" else None
        artefact = run(_files(data), out, seed=seed, vectors=table, encoder=encoder, say=progress())
    if as_json:
        print_json({"artefact": str(out), **artefact.manifest})
    else:
        typer.echo(f"{out}: {artefact.tier}@{artefact.digest}")
        typer.echo((out / "report.md").read_text(encoding="utf-8"))


artefacts = typer.Typer(help="Look at trained artefacts.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Argument(help="Artefact folder; default the shipped one.")]


@artefacts.command("list")
def list_artefacts(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder that holds artefact folders; default the shipped ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the artefacts in a folder, damaged ones included."""
    from classifiers.artefact import DEFAULT_FOLDER, MANIFEST, load_artefact

    where = folder or DEFAULT_FOLDER.parent
    if not where.is_dir():
        refuse(f"{where} is not a folder")
    rows = []
    for path in sorted(manifest.parent for manifest in where.glob(f"*/{MANIFEST}")):
        try:
            loaded = load_artefact(path)
        except ArtefactError as error:
            rows.append({"name": path.name, "tier": None, "digest": None, "created": None, "problem": str(error)})
        else:
            made = {"tier": loaded.tier, "digest": loaded.digest, "created": loaded.manifest.get("created")}
            rows.append({"name": path.name, **made, "problem": None})
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            typer.echo(
                f"{row['name']:20} {row['tier'] or '-':8} {row['digest'] or '-':14} {row['created'] or '-':26} "
                f"{row['problem'] or 'ok'}"
            )


@artefacts.command()
def show(folder: Folder = None, as_json: AsJson = False) -> None:
    """Show an artefact's manifest, and its report where it has one."""
    from classifiers.artefact import DEFAULT_FOLDER, load_artefact

    where = folder or DEFAULT_FOLDER
    with errors_as_exit(ArtefactError):
        loaded = load_artefact(where)
    if as_json:
        print_json(dict(loaded.manifest))
        return
    facts = loaded.manifest
    typer.echo(f"{loaded.tier}@{loaded.digest}  features {facts['features_digest']}  schema {facts['schema']}")
    typer.echo(f"created {facts.get('created') or 'undated'}; heads of its own for {len(loaded.models)} models")
    if "encoder" in facts:
        typer.echo(f"embeds with weights of sha256 {facts['encoder']['weights_sha256']}")
    for source in facts.get("data", []):
        typer.echo(f"trained on {source['name']} (sha256 {source['sha256'][:12]})")
    report = where / "report.md"
    if report.is_file():
        typer.echo(report.read_text(encoding="utf-8"))


@artefacts.command()
def verify(folder: Folder = None, as_json: AsJson = False) -> None:
    """Check every byte of an artefact against its manifest. Exit code 1 and the reason if it must not be used."""
    from classifiers.artefact import DEFAULT_FOLDER, load_artefact

    where = folder or DEFAULT_FOLDER
    try:
        loaded = load_artefact(where)
    except ArtefactError as error:
        if as_json:
            print_json({"artefact": str(where), "ok": False, "reason": error.reason, "message": str(error)})
        else:
            typer.echo(f"{where}: {error}", err=True)
        raise typer.Exit(FOUND) from None
    if as_json:
        print_json({"artefact": str(where), "ok": True, "tier": loaded.tier, "digest": loaded.digest})
    else:
        typer.echo(f"{where}: ok, {loaded.tier}@{loaded.digest}")


def _files(given: list[Path]) -> list[Path]:
    """Files as they are; of folders the outcome files that may be trained on."""
    from classifiers.training.train import NEVER

    files = []
    for path in given:
        if path.is_dir():
            files += sorted(found for found in path.glob("*.jsonl.gz") if not found.name.startswith(NEVER))
        else:
            files.append(path)
    return files
