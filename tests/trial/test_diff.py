"""`signalbox policy diff`: what moves, by hand-made outcomes and by a real ledger; what cannot be known is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner, Result

from router.cli import app
from router.domain import Outcome
from router.ledger.store import SqlStore
from tests.dashboard.rows import cached, served
from tests.trial.outcomes import data_file, line, policy_file

HI, LONG = "hi", "hello " * 300
BY_LENGTH = "name: short, when: 'ask.input_tokens < 50', use: small\nname: rest, use: large"
ALL_SMALL = "name: all, use: small"
ALL_LARGE = "name: all, use: large"


def run(old: Path, new: Path, *arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["policy", "diff", str(old), str(new), *map(str, arguments)], env=env)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = orjson.loads(result.stdout)
    return answer


def ways(answer: dict[str, Any]) -> dict[tuple[str, str], float]:
    return {(one["from"], one["to"]): one["share"] for one in answer["matrix"]}


def change(answer: dict[str, Any], what: str) -> list[float]:
    return [round(answer[what][when]["value"], 6) for when in ("before", "after", "difference")]


def test_what_moves_and_what_it_does_is_told_pair_by_pair(tmp_path: Path) -> None:
    data = data_file(
        tmp_path,
        line(1, HI, small=1, large=1),
        line(2, LONG, small=0, large=1),
        line(3, LONG, small=1, large=1),
        line(4, "my mail is jane.doe@example.org", small=0.5, large=1),
    )
    old, new = policy_file(tmp_path, BY_LENGTH), policy_file(tmp_path, ALL_SMALL, "new")
    answer = told(run(old, new, "--data", data, "--json"))
    assert (answer["requests"], answer["quality_is"]) == (4, "measured")
    assert ways(answer) == {("large", "small"): 0.5, ("small", "small"): 0.5}
    assert answer["moved"]["value"] == 0.5
    assert change(answer, "quality") == [0.875, 0.625, -0.25]
    assert change(answer, "cost_usd") == [0.0055, 0.001, -0.0045]
    low, high = answer["quality"]["difference"]["low"], answer["quality"]["difference"]["high"]
    assert low <= -0.25 <= high
    assert sum(part["requests"] for part in answer["by_task"]) == 4
    moves = answer["surprising"]
    assert {move["key"] for move in moves} == {"q2", "q3"}
    assert all((move["before"], move["after"]) == ("large", "small") for move in moves)
    assert all(len(move["text"]) == 100 and move["text"].endswith("…") for move in moves)
    shown = run(old, new, "--data", data).stdout
    assert "large -> small: 50.0%" in shown and "difference -0.250 [" in shown


def test_a_policy_does_not_move_from_itself(tmp_path: Path) -> None:
    data = data_file(tmp_path, line(1, HI, small=1, large=1), line(2, LONG, small=0, large=1))
    answer = told(run(policy_file(tmp_path, BY_LENGTH), policy_file(tmp_path, BY_LENGTH), "--data", data, "--json"))
    assert answer["moved"] == {"value": 0.0, "low": 0.0, "high": 0.0} and answer["surprising"] == []


def test_a_refusal_is_a_place_to_move_to(tmp_path: Path) -> None:
    data = data_file(tmp_path, line(1, "my mail is jane.doe@example.org", small=1, large=1))
    answer = told(
        run(policy_file(tmp_path, ALL_SMALL), policy_file(tmp_path, ALL_LARGE, "n"), "--data", data, "--json")
    )
    assert ways(answer) == {("small", "(refused)"): 1.0}


@pytest.mark.parametrize("arguments", [[], ["--data", "x.jsonl", "--logs", "7d"], ["--logs", "sometime"]])
def test_what_to_compare_on_must_be_said_once(tmp_path: Path, arguments: list[str]) -> None:
    file = policy_file(tmp_path, ALL_SMALL)
    assert run(file, file, *arguments).exit_code == 2


def test_a_name_that_neither_policy_has_ends_with_2(tmp_path: Path) -> None:
    file, data = policy_file(tmp_path, ALL_SMALL), data_file(tmp_path, line(1, HI, small=1, large=1))
    result = run(file, file, "--data", data, "--as", "tiny=small")
    assert result.exit_code == 2 and "a model that neither policy has: tiny=small" in result.stderr


# --- on what was logged ---------------------------------------------------------------------------------------------


def ledger(folder: Path, rows: Sequence[Outcome]) -> dict[str, str]:
    """A ledger with these rows; the environment of commands that read it."""

    async def write() -> None:
        store = SqlStore(f"sqlite:///{folder / 'signalbox.sqlite3'}")
        await store.open()
        await store.write(rows)
        await store.aclose()

    asyncio.run(write())
    return {"SIGNALBOX_DATA_DIR": str(folder), "SIGNALBOX_DATABASE_URL": ""}


def logged(number: int, complexity: float, *, private: bool = False, text: str | None = None) -> Outcome:
    row = served(number, time.time() - 60 - number, complexity=complexity)
    row.ask = {**row.ask, "input_tokens": 40, "images": 0, "tools": 0, "private": ["card"] if private else []}
    row.quality = {"small": 1 - complexity, "large": 0.9}
    row.request_text = text
    return row


def test_logged_requests_are_decided_anew_at_the_tokens_they_took(tmp_path: Path) -> None:
    body = orjson.dumps({"messages": [{"role": "user", "content": "the  hard\none"}]}).decode()
    rows = [logged(1, 0.1), logged(2, 0.8, text=body), logged(3, 0.8, private=True), cached(4, time.time() - 9)]
    env = ledger(tmp_path, rows)
    old = policy_file(tmp_path, ALL_SMALL)
    new = policy_file(tmp_path, "name: hard, when: 'complexity > 0.5', use: large, fallback: [small]", "new")
    new.write_text(new.read_text().replace("default: large", "default: small"))
    answer = told(run(old, new, "--logs", "24h", "--json", env=env))
    assert (answer["requests"], answer["quality_is"]) == (3, "predicted")
    assert {way: round(share, 3) for way, share in ways(answer).items()} == {
        ("small", "small"): 0.667, ("small", "large"): 0.333,
    }  # fmt: skip
    written = [row.usage.output for row in rows[:3]]
    assert change(answer, "cost_usd")[0] == round(sum(written) / 3 / 1e6, 6)
    assert change(answer, "cost_usd")[2] == round(written[1] * 9 / 3 / 1e6, 6)
    assert change(answer, "quality")[2] == round((0.9 - 0.2) / 3, 6)
    [move] = answer["surprising"]
    assert move["key"] == rows[1].request_id and move["text"] == "the hard one"
    assert any("unwell" in note for note in answer["notes"])


def test_what_the_ledger_does_not_keep_is_said(tmp_path: Path) -> None:
    env = ledger(tmp_path, [logged(1, 0.5)])
    old = policy_file(tmp_path, "name: red, when: \"headers['x-team'] == 'red'\", use: small\nname: all, use: large")
    new = policy_file(tmp_path, "name: all, choose: cheapest, among: [other, large]", "new")
    answer = told(run(old, new, "--logs", "24h", "--json", env=env))
    assert any("own: the ledger keeps no headers" in note for note in answer["notes"])
    assert any("new: no quality was logged of other; their tier's was taken" in note for note in answer["notes"])
    assert answer["surprising"][0]["text"] is None


def test_a_model_that_is_new_is_judged_by_the_features_that_were_kept(tmp_path: Path) -> None:
    from router.cli.policy_trial import judge_of_settings

    classifier = judge_of_settings().classifier
    row = logged(1, 0.5)
    from classifiers.contract import AskText

    seen = classifier.assess(AskText("Prove that there are infinitely many primes."), ())
    row.features, row.features_digest = np.asarray(seen.features), seen.features_digest
    env = ledger(tmp_path, [row])
    new = policy_file(tmp_path, "name: all, choose: cheapest, among: [other, large]", "new")
    answer = told(run(policy_file(tmp_path, ALL_LARGE), new, "--logs", "24h", "--json", env=env))
    assert not any("no quality was logged" in note for note in answer["notes"])


def test_a_route_that_is_not_there_leaves_its_requests_out(tmp_path: Path) -> None:
    env = ledger(tmp_path, [logged(1, 0.5)])
    old, new = policy_file(tmp_path, ALL_SMALL), policy_file(tmp_path, ALL_SMALL, "new")
    new.write_text(new.read_text().replace("  auto:\n", "  other-name:\n"))
    answer = told(run(old, new, "--logs", "24h", "--json", env=env))
    assert answer["requests"] == 0
    assert "no request to compare" in run(old, new, "--logs", "24h", env=env).stdout


def test_an_empty_ledger_has_nothing_to_compare(tmp_path: Path) -> None:
    env, file = ledger(tmp_path, []), policy_file(tmp_path, ALL_SMALL)
    assert told(run(file, file, "--logs", "24h", "--json", env=env))["requests"] == 0
