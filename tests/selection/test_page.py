"""docs/selector.md is made of the raw figures that are kept, and says of them what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RAW = ROOT / "bench" / "results" / "selector.json"
PAGE = (ROOT / "docs" / "selector.md").read_text("utf-8")
RESULT = json.loads(RAW.read_text("utf-8"))
TESTED = RESULT["tested"]


def test_the_tables_are_made_of_the_raw_figures() -> None:
    command = [sys.executable, ROOT / "bench" / "selector.py", "--show", RAW]
    tables = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().split("\n\n")
    assert len(tables) == 3
    assert [table for table in tables if table not in PAGE] == []


def test_what_the_page_says_in_words_is_in_the_figures() -> None:
    own, cpu = TESTED["own vectors"], RESULT["cpu_ms"]
    assert (RESULT["seeds"], RESULT["examples"]) == (10, 5)
    assert 0.70 < own["abstained_outside"]["mean"] < 0.80, "three in four"
    assert cpu["own vectors"]["p99"] < 1.0 < cpu["all-MiniLM-L6-v2"]["p50"], "the last column says at what cost"


def test_own_vectors_beat_tfidf_at_every_measure_that_is_not_a_trade() -> None:
    own = TESTED["own vectors"]
    for baseline in ("TF-IDF of words", "TF-IDF of parts of words"):
        for measure in ("top_1", "top_2", "auroc"):
            assert own[measure]["least"] > TESTED[baseline][measure]["mean"], (baseline, measure)


def test_tested_and_tuned_intents_are_apart() -> None:
    from bench.selector_options import DEVELOPMENT
    from bench.selector_options import TESTED as MEASURED

    assert len(MEASURED) == len(DEVELOPMENT) == 20
    assert not MEASURED.keys() & DEVELOPMENT.keys()
