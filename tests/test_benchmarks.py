"""The figures in the documentation are those of the raw data that is kept beside the benchmarks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
RESULTS = ROOT / "bench" / "results"


def test_the_table_of_gateways_is_made_of_the_raw_figures() -> None:
    command = [sys.executable, ROOT / "bench" / "gateways.py", "--show", RESULTS / "gateways.json"]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert table.count("\n| signalbox") == 3
    assert table.strip() in PAGE


def test_no_answer_of_that_run_was_wrong() -> None:
    figures = json.loads((RESULTS / "gateways.json").read_text("utf-8"))
    assert not [
        (name, cell)
        for name, row in figures.items()
        for cell, runs in row.items()
        if isinstance(runs, list)
        for run in runs
        if run["bad"]
    ]


def test_the_memory_on_the_page_is_what_was_sampled() -> None:
    samples = json.loads((RESULTS / "memory.json").read_text("utf-8"))["samples"]
    told = re.findall(r"^\| ([\d,]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    kept = {f"{sample['requests']:,}": str(sample["mib"]) for sample in samples}
    assert len(told) >= 5 and all(kept[requests] == mib for requests, mib in told)


def test_the_tables_of_the_learning_loop_are_made_of_the_raw_figures() -> None:
    for command, kept in (
        ([ROOT / "bench" / "loop_overhead.py"], "loop_overhead.json"),
        (["-m", "bench.retraining"], "retraining.json"),
    ):
        shown = [sys.executable, *command, "--show", RESULTS / kept]
        table = subprocess.run(shown, check=True, capture_output=True, text=True, cwd=ROOT).stdout
        assert table.count("\n") >= 3 and table.strip() in PAGE, kept


def test_what_learning_adds_to_a_request_lies_within_the_noise_of_its_run() -> None:
    """On the request's way; what audits do beside it, and thumbs, are work of their own."""
    arms = json.loads((RESULTS / "loop_overhead.json").read_text("utf-8"))["arms"]
    on_the_way = ["explore", "audits, drawn from and none taken", "audits of a tenth, on the request's way"]
    for name in [*on_the_way, "no implicit labels"]:
        _, low, high = arms[name]["ratio"]
        assert low <= 1.0 <= high, name


def test_retraining_over_200_000_outcomes_kept_within_its_bounds() -> None:
    results = json.loads((RESULTS / "retraining.json").read_text("utf-8"))
    assert results["rows"] == 200_000
    for name, ledger in results["ledgers"].items():
        runs = [run for kind, run in ledger.items() if kind != "ledger"]
        assert runs, name
        for run in runs:
            assert run["cpu_s"] < 300 and run["peak_mib"] < 2 * 1000**3 / 2**20, (name, run)
