"""`signalbox policy tune`: thresholds found on outcomes and on audits, written into the policy or refused with why."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner, Result

from router.cli import app
from router.domain import Outcome
from router.ledger.store import SqlStore
from router.policy.compiled import Agree, Choose
from router.policy.load import load_policy
from tests.dashboard.rows import served
from tests.trial.outcomes import data_file, line, policy_file

CHOOSE = "name: promise, choose: cheapest, among: [small, large], keep_quality: 0.9"
AGREE = "name: vote, agree: {ask: [small, other], then: large, trust: 0.5}"
CASCADE = "name: first, cascade: {first: small, then: large}"


def run(policy: Path, *arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["policy", "tune", str(policy), *map(str, arguments)], env=env)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = orjson.loads(result.stdout)
    return answer


def questions(folder: Path, count: int = 600, *, answers: bool = True) -> Path:
    """Half of them easy to see: there the small models are nearly always right, elsewhere seldom."""
    random, lines = np.random.default_rng(0), []
    for number in range(count):
        hard = number % 2 == 1
        query = f"Prove that theorem {number} holds in all metric spaces." if hard else f"What is {number} plus one?"
        good = random.random(3) < ([0.3, 0.3, 0.95] if hard else [0.95, 0.9, 0.95])
        cells = {
            name: (float(right), "A" if right else ("B", "C", "D")[place]) if answers else float(right)
            for place, (name, right) in enumerate(zip(("small", "other", "large"), good, strict=True))
        }
        lines.append(line(number, query, "maths", **cells))
    return data_file(folder, *lines)


def test_a_threshold_is_found_with_its_interval_and_what_it_comes_to(tmp_path: Path) -> None:
    policy, data = policy_file(tmp_path, CHOOSE), questions(tmp_path)
    found = told(run(policy, "--data", data, "--json"))
    assert (found["rule"], found["key"], found["rows"], found["baseline"]) == ("promise", "threshold", 600, "large")
    assert found["threshold"]["low"] <= found["threshold"]["value"] <= found["threshold"]["high"]
    assert found["kept"]["value"] >= 0.9 and found["kept"]["low"] < found["kept"]["value"]
    # The easy half alone would cost 0.55 of the bill: the rest is margin. Length sees them apart too; chance does not.
    assert 0.4 < found["bill"]["value"] < 0.7 < found["beside"]["random"]
    assert found["unseen"] >= 0.9
    assert found["promise"] == {"keep_quality": 0.9, "max_cost": None, "confidence": 0.95}
    assert found["written"] is False and load_policy(policy, {}).routes["auto"].rules[0].act == act_of(policy)


def act_of(policy: Path) -> Any:
    return load_policy(policy, {}).routes["auto"].rules[0].act


def test_it_is_written_with_a_remark_and_the_policy_still_loads(tmp_path: Path) -> None:
    policy, data = policy_file(tmp_path, CHOOSE), questions(tmp_path)
    found = told(run(policy, "--data", data, "--write", "--json"))
    act = act_of(policy)
    assert isinstance(act, Choose) and act.threshold == found["value"] and found["written"] is True
    [remark] = [text.strip() for text in policy.read_text().splitlines() if text.strip().startswith("# tuned")]
    assert f"threshold {found['value']:g}" in remark and "95% interval" in remark
    assert "keep 90.0% of large's quality (95% sure), by 600 rows of data.jsonl" in remark
    again = run(policy, "--data", data, "--keep-quality", 0.8, "--write")
    assert again.exit_code == 0 and "keep 80.0%" in policy.read_text()
    assert policy.read_text().count("# tuned") == 1
    bolder = act_of(policy)
    assert isinstance(bolder, Choose) and bolder.threshold is not None and bolder.threshold > found["value"]


def test_a_vote_is_tuned_on_the_answers_of_the_file(tmp_path: Path) -> None:
    policy, data = policy_file(tmp_path, AGREE), questions(tmp_path)
    found = told(run(policy, "--data", data, "--keep-quality", 0.9, "--write", "--json"))
    act = act_of(policy)
    assert found["key"] == "trust" and isinstance(act, Agree) and act.trust == found["value"]
    assert 0.0 < found["large_share"] < 0.6 and found["kept"]["value"] >= 0.9
    refused = run(policy, "--data", questions(tmp_path, answers=False), "--keep-quality", 0.9)
    assert refused.exit_code == 2 and "no `answer` of small, other" in refused.stderr


def test_what_a_cascade_does_beyond_the_data_is_said(tmp_path: Path) -> None:
    result = run(policy_file(tmp_path, CASCADE), "--data", questions(tmp_path), "--keep-quality", 0.9)
    assert result.exit_code == 0, result.output
    assert "trust 0." in result.stdout and "note: of the checks only" in result.stdout
    assert "nothing was written; --write does" in result.stdout


def test_a_cost_is_stayed_within_instead(tmp_path: Path) -> None:
    rule = "name: capped, choose: best, among: [small, large], max_cost: 0.5"
    found = told(run(policy_file(tmp_path, rule), "--data", questions(tmp_path), "--json"))
    assert found["promise"]["max_cost"] == 0.5 and found["bill"]["value"] <= 0.5
    assert found["beside"]["random"] < found["kept"]["value"]


def test_what_cannot_be_shown_is_not_written_and_ends_with_1(tmp_path: Path) -> None:
    policy, data = policy_file(tmp_path, CHOOSE), questions(tmp_path, 120)
    before = policy.read_bytes()
    result = run(policy, "--data", data, "--keep-quality", 0.999, "--write")
    assert result.exit_code == 1 and "no threshold can be shown to keep 99.9% of large's quality" in result.stdout
    assert policy.read_bytes() == before


def test_only_rows_that_come_to_the_rule_count(tmp_path: Path) -> None:
    rules = 'name: sums, when: "ask.chars < 30", use: small\n' + CHOOSE
    result = run(policy_file(tmp_path, rules), "--data", questions(tmp_path, 180))
    assert result.exit_code == 2 and "only 90 rows come to rule promise" in result.stderr


@pytest.mark.parametrize(
    ("rules", "arguments", "said"),
    [
        (CHOOSE, ["--route", "atuo"], "no route atuo; did you mean `auto`"),
        (CHOOSE, ["--rule", "promsie"], "no rule promsie; did you mean `promise`"),
        (f"{CHOOSE}\nname: rest, use: large", ["--rule", "rest"], "rule rest has no threshold"),
        ("name: rest, use: large", [], "0 rules with a threshold"),
        (f"{CHOOSE}\n{CASCADE}", [], "name one with --rule: promise, first"),
        (CASCADE, [], "either --keep-quality 0.95 or --max-cost 0.4"),
        (CHOOSE, ["--keep-quality", "0.9", "--max-cost", "0.4"], "either --keep-quality 0.95 or --max-cost 0.4"),
        (CHOOSE, ["--as", "large=lagre"], "the data has no model 'lagre'; did you mean `large`"),
        (CHOOSE, ["--logs"], "give either --data FILE or --logs"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_touched(
    tmp_path: Path, rules: str, arguments: list[str], said: str
) -> None:
    policy = policy_file(tmp_path, rules)
    before = policy.read_bytes()
    result = run(policy, "--data", questions(tmp_path, 10), "--write", *arguments)
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert policy.read_bytes() == before


def test_a_model_without_outcomes_is_named(tmp_path: Path) -> None:
    data = data_file(tmp_path, *(line(number, "hi", small=1, lareg=1) for number in range(5)))
    result = run(policy_file(tmp_path, CHOOSE), "--data", data)
    assert result.exit_code == 2 and "no outcomes of large: say which with --as large=NAME" in result.stderr


def test_a_large_model_that_is_no_better_needs_no_threshold(tmp_path: Path) -> None:
    data = data_file(tmp_path, *(line(number, f"hi {number}", small=1, large=1) for number in range(120)))
    result = run(policy_file(tmp_path, CHOOSE), "--data", data)
    assert result.exit_code == 2 and "large is no better than small" in result.stderr


# --- on audits ------------------------------------------------------------------------------------------------------


def audited(folder: Path, count: int) -> dict[str, str]:
    """A ledger of requests that both models answered and a judge scored; the environment that reads it."""

    async def write() -> None:
        store = SqlStore(f"sqlite:///{folder / 'signalbox.sqlite3'}")
        await store.open()
        random, now = np.random.default_rng(1), time.time()
        for number in range(count):
            hard = number % 2 == 1
            row = served(number, now - 600 - number, complexity=0.7 if hard else 0.1)
            row.quality = {"small": 0.3 if hard else 0.9, "large": 0.95}
            row.ask = {**row.ask, "private": []}
            other = Outcome(f"{row.request_id}.audit", row.at_unix, row.tenant, row.key, purpose="audit", status=200)
            other.parent_id, other.model, other.usage, other.outcome = row.request_id, "large", row.usage, "ok"
            await store.write([row, other])
            for name, chance in ((row.request_id, 0.3 if hard else 0.95), (other.request_id, 0.95)):
                score = float(random.random() < chance)
                await store.add_label(name, row.tenant, "audit", "judge", score, known=True)
        await store.aclose()

    asyncio.run(write())
    return {"SIGNALBOX_DATA_DIR": str(folder), "SIGNALBOX_DATABASE_URL": ""}


def test_audits_of_the_ledger_set_a_threshold_too(tmp_path: Path) -> None:
    policy, env = policy_file(tmp_path, CHOOSE), audited(tmp_path, 300)
    found = told(run(policy, "--logs", "--write", "--json", env=env))
    act = act_of(policy)
    assert found["rows"] == 300 and isinstance(act, Choose) and act.threshold == found["value"]
    assert found["kept"]["value"] >= 0.9 and "length" not in found["beside"]
    assert "by 300 rows of logs since 30d" in policy.read_text()


def test_a_ledger_with_too_few_audits_says_so(tmp_path: Path) -> None:
    result = run(policy_file(tmp_path, CHOOSE), "--logs", env=audited(tmp_path, 40))
    assert result.exit_code == 2 and "only 40 rows come to rule promise" in result.stderr
    older = run(policy_file(tmp_path, CHOOSE), "--logs", "--since", "1m", env=audited(tmp_path, 0))
    assert older.exit_code == 2 and "only 0 rows" in older.stderr


def test_a_ledger_out_of_reach_ends_with_3(tmp_path: Path) -> None:
    away = {"SIGNALBOX_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    result = run(policy_file(tmp_path, CHOOSE), "--logs", env=away)
    assert result.exit_code == 3 and "out of reach" in result.stderr


def test_a_vote_cannot_be_tuned_on_a_ledger(tmp_path: Path) -> None:
    result = run(policy_file(tmp_path, AGREE), "--logs", "--keep-quality", 0.9, env=audited(tmp_path, 0))
    assert result.exit_code == 2
