"""Training: what is read, what is refused, and the same bytes from the same input."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from classifiers.artefact import DEFAULT_FOLDER, MANIFEST
from classifiers.contract import AskText
from classifiers.errors import TrainingError
from classifiers.features import FeatureFunction
from classifiers.training.dataset import (
    BAD_CELLS,
    LEVELS,
    SEED_FILES,
    Row,
    read_outcomes,
    seed_rows,
    training_rows,
    without_near_duplicates,
)
from classifiers.training.heads import Table, fit_artefact
from classifiers.training.train import train
from router.cli import judge

SMALL, LARGE = "tiny-3b", "Meta-Llama-3_1-70B-Instruct"
runner = CliRunner()


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    """Sums, short (easy for the small model) and long (hard), with a large model that is always right."""
    random = np.random.default_rng(0)
    path = tmp_path / "sums.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(160):
            hard = number % 2
            terms = " + ".join(str(random.integers(1, 999)) for _ in range(2 + 14 * hard))
            right = float(random.random() < (0.2 if hard else 0.9))
            line = {
                "query_id": f"s{number}",
                "domain": "hard sums" if hard else "easy sums",
                "query": f"Compute {terms}.",
                "outcomes": {SMALL: {"score": right}, LARGE: {"score": 1.0, "cost_usd": 0.01}},
            }
            file.write(json.dumps(line) + "\n")
    return path


def app():
    import typer

    commands = typer.Typer()
    commands.command("train")(judge.train)
    commands.add_typer(judge.artefacts, name="artefacts")
    return commands


def test_the_seed_set_covers_levels_tasks_languages_and_forms() -> None:
    rows = seed_rows()
    levels = Counter(row.level for row in rows)
    assert len(rows) >= 150 and all(levels[level] >= 40 for level in LEVELS)
    assert len({row.task for row in rows}) >= 12
    assert sum(count >= 5 for count in Counter(row.language for row in rows).values()) >= 8
    assert sum(bool(row.ask.earlier) for row in rows) >= 30
    assert any(row.level == "expert" and len(row.ask.text) < 60 for row in rows)
    assert any(row.level == "trivial" and len(row.ask.text) > 600 for row in rows)


def test_no_seed_prompt_is_there_twice() -> None:
    rows = seed_rows()
    assert len({(row.ask.earlier, row.ask.text) for row in rows}) == len(rows)


def test_near_duplicates_are_left_out() -> None:
    def row(text: str) -> Row:
        return Row(AskText(text), 1.0, 1.0, "chat", "en", "s", "d", text)

    texts = ["What is the sum of 3 and 4?", "what is the SUM of 17 and 9", "Something else altogether is asked here."]
    assert [kept.ask.text for kept in without_near_duplicates(map(row, texts))] == [texts[0], texts[2]]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"domain": "d"}', '{"query_id": 1, "domain": "d", "query": "q", "outcomes": {"m": 3}}']
)
def test_a_line_that_is_no_outcome_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(TrainingError, match=r"bad\.jsonl:1"):
        read_outcomes(path)


def test_a_file_that_is_not_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.gz").write_bytes(b"plain")
    with pytest.raises(TrainingError):
        read_outcomes(tmp_path / "x.jsonl.gz")


def test_the_published_test_sets_are_never_trained_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="never trained on"):
        train([tmp_path / "routellm_mmlu.jsonl.gz"], tmp_path / "out")


def test_fitting_twice_gives_the_same_artefact(outcomes: Path) -> None:
    featurise = FeatureFunction()
    rows = [*seed_rows()[::4], *training_rows(read_outcomes(outcomes), "sums")]
    first, second = (fit_artefact(Table.of(rows, featurise), featurise, 0.003, seed=0) for _ in range(2))
    assert first.digest == second.digest


def test_training_too_few_rows_says_so() -> None:
    featurise = FeatureFunction()
    with pytest.raises(TrainingError, match="50 are needed"):
        fit_artefact(Table.of(seed_rows()[:20], featurise), featurise, 0.003, seed=0)


def test_artefacts_are_listed_shown_and_verified() -> None:
    listed = runner.invoke(app(), ["artefacts", "list", "--json"])
    assert [row["name"] for row in json.loads(listed.stdout)] == ["default", "encoder"]
    shown = runner.invoke(app(), ["artefacts", "show", "--json"])
    assert json.loads(shown.stdout)["format"] == "signalbox-artefact"
    assert runner.invoke(app(), ["artefacts", "verify"]).exit_code == 0


def test_verify_finds_a_flipped_byte_and_says_why(tmp_path: Path) -> None:
    for path in DEFAULT_FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    heads = bytearray((tmp_path / "heads.npy").read_bytes())
    heads[-1] ^= 1
    (tmp_path / "heads.npy").write_bytes(bytes(heads))
    done = runner.invoke(app(), ["artefacts", "verify", str(tmp_path), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["reason"] == "damaged"
    assert runner.invoke(app(), ["artefacts", "show", str(tmp_path)]).exit_code == 2


def test_the_command_refuses_bad_data_with_exit_code_two(tmp_path: Path) -> None:
    done = runner.invoke(app(), ["train", str(tmp_path / "nothing.jsonl.gz"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.fixture
def data() -> Path:
    folder = os.environ.get("SIGNALBOX_TEST_DATA")
    if not folder or not (Path(folder) / "outcomes").is_dir():
        pytest.skip("SIGNALBOX_TEST_DATA names no folder with outcomes")
    return Path(folder) / "outcomes"


@pytest.mark.needs_data
def test_cells_with_extraction_faults_are_left_out(data: Path) -> None:
    rows = read_outcomes(data / "mixed_tasks.jsonl.gz")
    assert len(rows) == 4749
    assert not [(m, row.domain) for row in rows for m in row.scores if (m, row.domain) in BAD_CELLS]


@pytest.mark.needs_data
def test_the_shipped_manifest_names_the_data_it_was_trained_on(data: Path) -> None:
    import hashlib

    manifest = json.loads((DEFAULT_FOLDER / MANIFEST).read_text())
    named = {entry["name"]: entry["sha256"] for entry in manifest["data"]}
    assert set(named) == {*(path.name for path in SEED_FILES), "mmlu_pro.jsonl.gz", "mixed_tasks.jsonl.gz"}
    for name in ("mmlu_pro.jsonl.gz", "mixed_tasks.jsonl.gz"):
        assert hashlib.sha256((data / name).read_bytes()).hexdigest() == named[name]
