"""What a retraining reads: features made anew where the text was kept, private asks never, and a page of what came."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from classifiers.artefact import load_default
from classifiers.learned import LearnedClassifier
from classifiers.training.dataset import seed_rows
from router.cli import app
from router.domain import Outcome, Usage
from router.learning.dataset import read_dataset
from router.learning.page import page
from router.learning.retrain import retrain
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.ledger.window import Window
from router.policy.load import load_policy
from tests.trial.outcomes import policy_file

CURRENT = load_default()
ASKS = [row.ask for row in seed_rows()[::5] if not row.ask.earlier]
VECTORS = CURRENT.featurise.many(ASKS)
JUDGE = LearnedClassifier(CURRENT)
HARD = np.array([JUDGE.assess_features(vector, ()).complexity for vector in VECTORS])
DAY = Window(time.time() - 7 * 86_400, time.time() + 86_400)
"""Until tomorrow: it is made long before the tests of a whole suite run."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path / 'signalbox.sqlite3'}")
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def request(number: int, at: float, *, model: str = "small") -> Outcome:
    row = Outcome(f"req_{number:05}", at, "acme", "web", route="auto", rule="easy", status=200)
    row.outcome, row.model, row.decided_model, row.upstream_model, row.tier = "ok", model, model, f"own/{model}", model
    row.probability, row.usage, row.cost_nano = 1.0, Usage(50, output=50), {"small": 1_000, "large": 20_000}[model]
    row.eligible = {"small": True, "large": True}
    row.complexity, row.gain, row.support, row.task, row.language = float(HARD[number]), 0.1, 0.9, "chat", "en"
    row.ask = {"input_tokens": 50, "turns": 1, "private": []}
    row.features, row.features_digest = VECTORS[number], CURRENT.featurise.digest
    return row


def body(text: str) -> str:
    return orjson.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).decode()


async def labelled(store: SqlStore, rows: list[Outcome]) -> None:
    await store.write(rows)
    for row in rows:
        await store.add_label(row.request_id, "acme", "web", "verifier", 1.0)


async def test_features_of_another_judge_are_made_anew_where_the_text_was_kept(store: SqlStore) -> None:
    now = time.time()
    rows = [request(number, now - 100 + number) for number in range(4)]
    for row in rows[:3]:
        row.features, row.features_digest = np.ones(12, np.float32), "another"
    rows[0].request_text = body(ASKS[0].text)
    rows[1].request_text = "no JSON at all"
    await labelled(store, rows)
    data, counts = await read_dataset(store, DAY, CURRENT)
    assert (counts.labelled, counts.recomputed, counts.unreadable, counts.private) == (4, 1, 2, 0)
    assert {one.request_id for one in data.logged} == {"req_00000", "req_00003"}
    made = data.logged[0].features
    assert made is not None and data.logged[0].features_digest == CURRENT.featurise.digest
    assert made == pytest.approx(JUDGE.assess(ASKS[0], ()).features, abs=0.01)


async def test_private_asks_never_get_features_not_even_by_the_rules_of_now(store: SqlStore) -> None:
    now = time.time()
    rows = [request(number, now - 100 + number) for number in range(2)]
    for row in rows:
        row.features, row.features_digest = None, None
    rows[0].ask["private"] = ["email"]
    rows[0].request_text = body("What is the capital of France?")
    rows[1].request_text = body("Write to jane.doe@example.org for me.")
    await labelled(store, rows)
    data, counts = await read_dataset(store, DAY, CURRENT)
    assert data.logged == () and (counts.private, counts.recomputed, counts.unreadable) == (1, 0, 1)


async def test_both_halves_of_an_audit_make_a_pair_with_their_costs(store: SqlStore) -> None:
    await labelled(store, await audits(store, 6))
    data, counts = await read_dataset(store, DAY, CURRENT)
    assert counts.pairs == 3 and counts.labelled == 9
    assert [one.request_id for one in data.pairs] == ["req_00000", "req_00002", "req_00004"]
    assert {one.own.cost_usd for one in data.pairs} == {1e-6} and {one.other.cost_usd for one in data.pairs} == {2e-5}
    assert all(one.other.model.model == "own/large" for one in data.pairs)


async def audits(store: SqlStore, count: int) -> list[Outcome]:
    """Requests to the small model, every second answered by the large one too; the small one fails at hard asks."""
    random = np.random.default_rng(0)
    now = time.time() - 3600.0
    rows, values = [], []
    middle = float(np.median(HARD))
    for number in range(count):
        row = request(number, now + number)
        rows.append(row)
        if number % 2:
            continue
        other = request(number, now + number + 0.1, model="large")
        other.request_id, other.purpose, other.parent_id = f"{row.request_id}.audit", "audit", row.request_id
        other.features = None
        rows.append(other)
        good = {"small": float(random.random() < (0.95 if HARD[number] < middle else 0.1)), "large": 0.9}
        values += [(one.request_id, "audit", "judge", "acme", good[str(one.model)], 1.0, now) for one in (row, other)]
    await store.write(rows)
    async with store.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO labels (request_id, key, source, tenant, score, weight, at_unix) VALUES (?,?,?,?,?,?,?)",
            values,
        )
    return [row for row in rows if row.purpose == "chat"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


async def test_pairs_teach_under_a_policy_and_the_registry_keeps_the_report(store: SqlStore, tmp_path: Path) -> None:
    await audits(store, 600)
    policy = load_policy(
        policy_file(tmp_path, "name: easy, when: 'complexity < 0.3', use: small\nname: rest, use: large"), {}
    )
    done = await retrain(store, DAY, promote=False, by="tests", policy=policy)
    assert done.evidence is not None and done.evidence.pairs is not None and done.verdict is not None
    assert done.evidence.pairs.n == 180 and done.evidence.in_force is not None
    assert done.evidence.steadiness is not None and done.evidence.latency is not None
    [kept] = await Registry(store).list()
    assert kept.metrics["reason"] == done.reason
    assert [check["name"] for check in kept.metrics["checks"]] == [check.name for check in done.verdict.checks]
    told = _Page()
    told.feed(page({**kept.report, "sha256": done.sha256}))  # what the registry kept is enough for the page
    text = " ".join(told.words)
    assert all(check.name in text for check in done.verdict.checks)
    assert "ESTIMATED" in text and "prompt length" in text and "random" in text
    assert told.tags.count("svg") == 3 and "script" not in told.tags and not told.fetched


async def test_the_page_holds_no_mark_up_of_anybody_elses(store: SqlStore) -> None:
    rows = await audits(store, 300)
    done = await retrain(store, DAY, promote=False, by="tests")
    assert len(rows) == 300
    text = page({**done.document(), "reason": "<script>alert(1)</script>"})
    assert "<script" not in text


def test_the_command_prints_every_check_and_writes_the_page(tmp_path: Path) -> None:
    env = {"SIGNALBOX_DATABASE_URL": f"sqlite:///{tmp_path / 'signalbox.sqlite3'}", "SIGNALBOX_DATA_DIR": str(tmp_path)}
    fill(tmp_path, 300)
    out = tmp_path / "report.html"
    shown = CliRunner().invoke(app, ["retrain", "--report", str(out)], env=env)
    assert shown.exit_code in (0, 1), shown.output
    assert "knows the asks: " in shown.stdout and "no policy was given" in shown.stdout
    assert out.read_text("utf-8").startswith("<!doctype html>")
    nowhere = CliRunner().invoke(app, ["retrain", "--report", str(tmp_path / "no" / "where.html")], env=env)
    assert nowhere.exit_code == 2 and "no such folder" in nowhere.stderr
    broken = CliRunner().invoke(app, ["retrain", "--policy", str(tmp_path / "none.yaml")], env=env)
    assert broken.exit_code == 2


async def test_while_another_retraining_runs_the_command_ends_with_3_and_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'signalbox.sqlite3'}"
    env = {"SIGNALBOX_DATABASE_URL": url, "SIGNALBOX_DATA_DIR": str(tmp_path)}
    store = SqlStore(url)
    await store.open()
    async with store.alone("retraining"):
        shown = await asyncio.to_thread(CliRunner().invoke, app, ["retrain"], env=env)
    await store.aclose()
    assert shown.exit_code == 3 and "another retraining is running" in shown.stderr


def fill(folder: Path, count: int) -> None:
    async def write() -> None:
        store = SqlStore(f"sqlite:///{folder / 'signalbox.sqlite3'}")
        await store.open()
        await audits(store, count)
        await store.aclose()

    asyncio.run(write())


KILLED = """
import asyncio, sys, time
from router.learning.retrain import retrain
from router.ledger.store import SqlStore
from router.ledger.window import read_window

def fit(rows):
    print("fitting", flush=True)
    time.sleep(60)

async def main():
    store = SqlStore(sys.argv[1])
    await store.open()
    await retrain(store, read_window("7d"), promote=True, by="killed", fit=fit)

asyncio.run(main())
"""


def test_one_that_is_killed_half_way_leaves_nothing_and_the_next_one_runs(tmp_path: Path) -> None:
    fill(tmp_path, 300)
    url = f"sqlite:///{tmp_path / 'signalbox.sqlite3'}"
    process = subprocess.Popen([sys.executable, "-c", KILLED, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "fitting\n"
    env = {"SIGNALBOX_DATABASE_URL": url, "SIGNALBOX_DATA_DIR": str(tmp_path)}
    refused = CliRunner().invoke(app, ["retrain"], env=env)
    assert refused.exit_code != 0 and "another retraining is running" in refused.stderr
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    history = CliRunner().invoke(app, ["history", "--json"], env=env)
    assert json.loads(history.stdout) == []
    again = CliRunner().invoke(app, ["retrain", "--json"], env=env)
    done = json.loads(again.stdout)
    assert done["labelled"] == 300 and done["sha256"]
