"""The command `evaluate`: what its figures must be on files whose truth is known, and what it says of broken ones."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from classifiers.training.dataset import OutcomeRow
from router.cli import app

SMALL, LARGE = "tiny 3b", "vendor/big one"
BASELINES = {"random", "length", "task_type", "incumbent"}
FIGURES = {"apgr", "apgr_low", "apgr_high", "cpt50", "cpt80", "auc", "auc_small", "brier", "ece"}
runner = CliRunner()

Line = dict[str, Any]
Write = Callable[[Sequence[Line]], Path]


def line(number: int, query: str, small: Any, large: Any, domain: str = "sums", **cell: Any) -> Line:
    outcomes = {SMALL: {"score": small, **cell}, LARGE: {"score": large, **cell}}
    return {"query_id": f"q{number}", "domain": domain, "query": query, "outcomes": outcomes}


def sums(count: int = 160, seed: int = 0, domains: Sequence[str] = ("shop", "school")) -> list[Line]:
    """Short sums, on which the small model is nearly always right, and long ones, on which it is mostly wrong."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        hard = number % 2
        terms = " + ".join(str(random.integers(1, 999)) for _ in range(2 + 14 * hard))
        right = float(random.random() < (0.2 if hard else 0.9))
        lines.append(line(number, f"Compute {terms}.", right, 1.0, domains[number // 2 % len(domains)]))
    return lines


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(lines: Sequence[Line], name: str = "sums.jsonl.gz") -> Path:
        with gzip.open(tmp_path / name, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in lines)
        return tmp_path / name

    return to_file


def asked(path: Path, *options: Any, code: int = 0) -> Any:
    """The JSON of a run, or what it said on stderr where another exit code than 0 is expected."""
    done = runner.invoke(app, ["evaluate", str(path), "--small", SMALL, "--large", LARGE, "--json", *map(str, options)])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return json.loads(done.stdout) if code == 0 else done.stderr


def test_every_router_has_every_figure(write: Write) -> None:
    figures = asked(write(sums()))
    assert set(figures["baselines"]) == BASELINES
    for row in (figures["router"], figures["oracle"], *figures["baselines"].values()):
        assert set(row) >= FIGURES
    assert set(figures) >= {"n", "small_mean", "large_mean", "by_domain", "wasted_share", "risk_share", "cost_at_95"}
    assert set(figures["router"]) >= {"ms_p50", "ms_p99"}
    assert all(set(row) == {"domain", "n", "apgr", "auc", "auc_small"} for row in figures["by_domain"])
    assert [row["domain"] for row in figures["by_domain"]] == ["school", "shop"]


def test_figures_agree_with_what_can_be_worked_out_by_hand(write: Write) -> None:
    # Longer is better for the large model, without exception, so length recovers the gap as the oracle does.
    lines = [line(number, "word " * (number + 1), float(number < 50), 1.0) for number in range(100)]
    figures = asked(write(lines))
    length, oracle = figures["baselines"]["length"], figures["oracle"]
    assert (figures["small_mean"], figures["large_mean"]) == (0.5, 1.0)
    assert length["apgr"] == pytest.approx(0.75) == oracle["apgr"]
    assert (length["cpt50"], length["cpt80"], length["auc"]) == (pytest.approx(0.25), pytest.approx(0.40), 1.0)
    assert length["auc_small"] is length["brier"] is length["ece"] is None
    assert length["apgr_low"] < 0.75 < length["apgr_high"]


def test_wasted_and_risk_are_shares_at_the_judges_own_threshold(write: Write) -> None:
    lines = [line(0, "hi", 1.0, 1.0), line(1, "thanks!", 0.0, 1.0)]
    lines += [
        line(n, f"Prove that every compact operator on a Hilbert space number {n} is a limit", 1.0, 1.0) for n in (2, 3)
    ]
    figures = asked(write(lines))
    assert (figures["wasted_share"], figures["risk_share"]) == (0.5, 0.25)


def test_costs_come_from_the_file_where_it_has_them(write: Write) -> None:
    free_small = [line(n, f"Compute {n} + {n}", 1.0, 1.0, cost_usd=0.01) for n in range(20)]
    assert asked(write(free_small))["cost_at_95"] == pytest.approx(1.0)  # both models cost the same
    assert asked(write(sums()))["cost_at_95"] < 1.0
    nothing_paid = [line(n, f"Compute {n} + {n}", 1.0, 1.0, cost_usd=0.0) for n in range(20)]
    assert asked(write(nothing_paid))["cost_at_95"] is None


def test_folds_find_what_is_hard_in_the_file(write: Write) -> None:
    figures = asked(write(sums()), "--folds", 5)
    assert figures["router"]["apgr"] > 0.65 > figures["baselines"]["random"]["apgr"]
    assert figures["oracle"]["apgr"] >= figures["router"]["apgr"]
    assert figures["router"]["auc_small"] > 0.75
    assert set(figures["linear_heads"]) >= FIGURES
    assert figures["learned_from"] == f"{SMALL} and {LARGE}"


def test_labels_that_mean_nothing_teach_nothing(write: Write) -> None:
    random = np.random.default_rng(3)
    lines = [
        line(n, f"Compute {random.integers(1, 10**9)} and {n}", float(random.random() < 0.5), 1.0) for n in range(400)
    ]
    router = asked(write(lines), "--folds", 5)["router"]
    assert 0.40 < router["auc_small"] < 0.60
    assert router["apgr_low"] < 0.5 < router["apgr_high"]


def test_the_same_question_is_never_on_both_sides_of_a_fold(write: Write) -> None:
    # Every question is there twice, with labels that chance gave: who has seen the twin would know them.
    random = np.random.default_rng(5)
    truth = [(f"Is {random.integers(10**8)} prime?", float(random.random() < 0.5)) for _ in range(150)]
    lines = [line(n, query, right, 1.0) for n, (query, right) in enumerate([*truth, *truth])]
    assert 0.38 < asked(write(lines), "--folds", 5)["router"]["auc_small"] < 0.62


def test_a_domain_left_out_is_judged_from_the_others(write: Write) -> None:
    figures = asked(write(sums(domains=("shop", "school", "bank"))), "--leave-out", "domain")
    assert figures["leave_out"] == "domain"
    assert all(row["auc_small"] > 0.7 for row in figures["by_domain"])
    assert figures["baselines"]["task_type"]["apgr"] < figures["router"]["apgr"]


def test_a_few_labels_teach_less_than_all(write: Write) -> None:
    path = write(sums(400))
    few, many = (asked(path, "--folds", 5, *more)["router"] for more in (("--labels", 12), ()))
    assert few["apgr"] < many["apgr"]
    assert asked(path, "--folds", 5, "--labels", 12)["draws"] == 5


def test_other_files_teach_and_are_named(tmp_path: Path, write: Write) -> None:
    target, first, second = (
        write(sums(80, seed), name) for seed, name in enumerate(("a.jsonl.gz", "b.jsonl.gz", "c.jsonl.gz"))
    )
    figures = asked(target, "--train", first, second)
    assert figures["train"] == ["b.jsonl.gz", "c.jsonl.gz"]
    assert figures["learned_from"] == f"{SMALL} and {LARGE}"
    assert figures["router"]["apgr"] > 0.6


def test_files_without_the_two_models_teach_by_tier_and_say_so(write: Write) -> None:
    target = write(sums(80), "a.jsonl.gz")
    others = [
        {**row, "outcomes": {"other-7b": row["outcomes"][SMALL], "gemini-1.5-pro-002": row["outcomes"][LARGE]}}
        for row in sums(80, 1)
    ]
    figures = asked(target, "--train", write(others, "b.jsonl.gz"))
    assert "generic tiers" in figures["learned_from"]
    assert figures["router"]["apgr"] > 0.6


def test_a_file_does_not_teach_its_own_answers(write: Write) -> None:
    path = write(sums())
    assert "in the file that is scored" in asked(path, "--train", path, code=2)


def test_ranking_is_null_where_the_large_model_is_not_better(write: Write) -> None:
    figures = asked(write([line(n, f"Compute {n}", 1.0, 0.0) for n in range(30)]), "--folds", 3)
    assert figures["router"]["apgr"] is figures["router"]["cpt50"] is figures["router"]["auc"] is None
    assert figures["router"]["brier"] is not None
    assert figures["cost_at_95"] is not None


@pytest.mark.parametrize("tied", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.5, 0.5)])
def test_files_of_one_class_give_nulls_and_no_error(write: Write, tied: tuple[float, float]) -> None:
    lines = [line(n, f"Compute {n} + 1", *tied) for n in range(40)]
    for options in ((), ("--folds", 4)):
        assert asked(write(lines), *options)["router"]["auc_small"] is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_rows_is_enough_to_be_scored(write: Write, count: int) -> None:
    assert asked(write(sums(count)))["n"] == count


def test_a_row_without_one_of_the_models_is_left_out(write: Write) -> None:
    lines = sums(40)
    del lines[3]["outcomes"][LARGE]
    assert asked(write(lines))["n"] == 39


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.5, float("inf"), None, "good", [1]])
def test_a_score_that_is_no_share_is_named(write: Write, score: Any) -> None:
    said = asked(write([*sums(20), line(99, "Compute 3", score, 1.0)]), code=2)
    assert "q99" in said or ":21" in said


@pytest.mark.parametrize(
    "cell", [{"cost_usd": "cheap"}, {"cost_usd": -1}, {"output_tokens": "many"}, {"output_tokens": float("nan")}]
)
def test_a_cost_that_is_no_amount_is_named(write: Write, cell: Line) -> None:
    assert "q0" in asked(write([line(0, "Compute 3", 1.0, 1.0, **cell)]), code=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--folds", "5", "--leave-out", "domain"], "name one"),
        (["--leave-out", "task"], "only domain"),
        (["--labels", "30"], "labels of what"),
        (["--tier", "oracle"], "oracle"),
        (["--artefact", "nowhere"], "nowhere"),
        (["--tier", "heuristic", "--artefact", "nowhere"], "no artefact"),
        (["--folds", "20"], "20 folds"),
        (["--plot", "nowhere/deep/plot.png"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(write: Write, options: list[str], said: str) -> None:
    message = asked(write(sums(12)), *options, code=2)
    assert said in message and message.count("\n") == 1


def test_an_empty_file_and_an_unknown_model_are_said_in_one_line(write: Write) -> None:
    assert "no rows" in asked(write([]), code=2)
    done = runner.invoke(app, ["evaluate", str(write(sums(4))), "--small", "nobody", "--large", LARGE])
    assert done.exit_code == 2 and SMALL in done.stderr


def test_the_heuristic_is_measured_like_any_tier(write: Write) -> None:
    figures = asked(write(sums()), "--tier", "heuristic")
    assert figures["classifier"].startswith("heuristic") and figures["incumbent"].startswith("fast")


def test_a_seed_fixes_every_figure_but_the_time(write: Write) -> None:
    def untimed(seed: int) -> Any:
        figures = asked(path, "--folds", 4, "--labels", 60, "--seed", seed)
        del figures["router"]["ms_p50"], figures["router"]["ms_p99"]
        return figures

    path = write(sums())
    assert untimed(1) == untimed(1) != untimed(2)


def test_both_plots_are_drawn(write: Write, tmp_path: Path) -> None:
    asked(write(sums()), "--folds", 4, "--plot", tmp_path / "plot.png")
    png = (tmp_path / "plot.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n") and len(png) > 20_000


def test_the_table_says_how_the_ranking_came_about(write: Write) -> None:
    path = str(write(sums()))
    done = runner.invoke(app, ["evaluate", path, "--small", SMALL, "--large", LARGE, "--folds", "4", "--labels", "30"])
    assert done.exit_code == 0
    assert "4 folds" in done.stdout and "30 labels" in done.stdout and "linear heads" in done.stdout


def test_fourteen_thousand_rows_are_scored_with_intervals_in_well_under_a_minute(write: Write) -> None:
    path = write(sums(14_000))
    begun = time.process_time()
    assert asked(path)["n"] == 14_000
    assert time.process_time() - begun < 45


def test_two_rows_with_one_id_stay_together() -> None:
    from classifiers.artefact import load_default
    from classifiers.training.pairing import pair

    def row(query_id: str, query: str) -> OutcomeRow:
        none = {SMALL: None, LARGE: None}
        return OutcomeRow(query_id, "d", query, {SMALL: 0.0, LARGE: 1.0}, dict(none), dict(none))

    rows = [row("a", "One?"), row("a", "Two?"), row("b", "one"), row("c", "Three?")]
    groups = pair(rows, SMALL, LARGE, load_default().featurise).groups
    assert groups[0] == groups[1] == groups[2] != groups[3]


@pytest.mark.needs_data
def test_the_shipped_artefact_knows_which_exam_questions_small_models_miss(data_dir: Path) -> None:
    path = data_dir / "outcomes" / "mmlu_pro.jsonl.gz"
    models = ["--small", "Meta-Llama-3_1-8B-Instruct", "--large", "gemini-1.5-pro-002"]
    done = runner.invoke(app, ["evaluate", str(path), *models, "--json"])
    assert json.loads(done.stdout)["router"]["auc_small"] > 0.52
