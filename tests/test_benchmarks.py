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
