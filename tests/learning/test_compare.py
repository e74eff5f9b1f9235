"""`signalbox compare` on a real ledger whose every answer the test knows: what it tells, refuses and leaves out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner, Result

from classifiers.artefact import load_default, pack, save_artefact
from classifiers.contract import AskText
from classifiers.learned import LearnedClassifier
from router.cli import app
from router.domain import Outcome, Usage
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from tests.trial.outcomes import policy_file

BY_COMPLEXITY = "name: easy, when: 'complexity < 0.5', use: small\nname: rest, use: large"
MORE_TO_SMALL = "name: easy, when: 'complexity < 0.8', use: small\nname: rest, use: large"
ALL_SMALL = "name: all, use: small"
COST = {"small": 1_000, "large": 10_000}


@dataclass(frozen=True)
class Asked:
    """One request of the test's own traffic, with what both models make of it."""

    row: Outcome
    good: dict[str, float]


def traffic(count: int, *, seed: int = 0, explore: float = 0.0) -> list[Asked]:
    """Complexity is uniform; the small model is right with 1 - complexity, the large one with 0.9."""
    random = np.random.default_rng(seed)
    now = time.time() - 2 * count
    asked = []
    for number in range(count):
        complexity = float(random.random())
        decided, other = ("small", "large") if complexity < 0.5 else ("large", "small")
        explores = random.random() < explore
        model = other if explores else decided
        row = Outcome(f"req_{seed}_{number:05}", now + number, "acme", "web", route="auto", rule="easy", status=200)
        row.outcome, row.model, row.decided_model, row.upstream_model = "ok", model, model, model
        row.probability = explore if explores else 1.0 - explore
        row.tier, row.usage, row.cost_nano = model, Usage(100, output=50), COST[model]
        row.eligible = {"small": True, "large": True}
        row.complexity, row.gain, row.support, row.task, row.language = complexity, complexity - 0.1, 0.8, "chat", "en"
        row.quality = {"small": 1.0 - complexity, "large": 0.9}
        row.ask = {"input_tokens": 100, "turns": 1, "private": []}
        good = {"small": float(random.random() < 1.0 - complexity), "large": float(random.random() < 0.9)}
        asked.append(Asked(row, good))
    return asked


def audit_of(one: Asked, costs: Mapping[str, int | None] = COST) -> Outcome:
    """The row of an audit, as the gateway's auditor writes it."""
    other = "large" if one.row.model == "small" else "small"
    return Outcome(
        f"{one.row.request_id}.audit",
        one.row.at_unix + 1.0,
        "acme",
        "web",
        purpose="audit",
        parent_id=one.row.request_id,
        route="auto",
        model=other,
        decided_model=other,
        upstream_model=other,
        status=200,
        cost_nano=costs[other],
    )


def ledger(
    folder: Path,
    asked: Sequence[Asked],
    audited: Callable[[int], bool],
    *,
    source: str = "judge",
    key: str = "audit",
    costs: Mapping[str, int | None] = COST,
) -> dict[str, str]:
    """A ledger of these requests; the environment of commands that read it."""
    url = f"sqlite:///{folder / 'ledger.sqlite3'}"

    async def write() -> None:
        store = SqlStore(url)
        await store.open()
        chosen = [one for number, one in enumerate(asked) if audited(number)]
        audits = [audit_of(one, costs) for one in chosen] if key == "audit" else []
        await store.write([*(one.row for one in asked), *audits])
        async with store.transaction() as connection:
            values = []
            for one in chosen:
                ids = [(one.row.request_id, one.row.model)]
                ids += [(f"{one.row.request_id}.audit", audit_of(one).model)] if audits else []
                for request_id, model in ids:
                    assert model is not None
                    values.append((request_id, key, source, "acme", one.good[model], 1.0, one.row.at_unix))
            await connection.exec_driver_sql(
                "INSERT INTO labels (request_id, key, source, tenant, score, weight, at_unix) VALUES (?,?,?,?,?,?,?)",
                values,
            ) if values else None
        await store.aclose()

    asyncio.run(write())
    return {"SIGNALBOX_DATABASE_URL": url, "SIGNALBOX_DATA_DIR": str(folder)}


def a_quarter(number: int) -> bool:
    return number % 4 == 0


def nobody(number: int) -> bool:
    return False


def compare(env: dict[str, str], *arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env=env)


def told(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.output
    answer: dict[str, Any] = orjson.loads(result.stdout)
    return answer


def worth_of(asked: Sequence[Asked], bar: float) -> float:
    return float(np.mean([one.good["small" if (one.row.complexity or 0.0) < bar else "large"] for one in asked]))


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Asked], dict[str, str]]:
    asked = traffic(1600)
    return asked, ledger(tmp_path_factory.mktemp("audited"), asked, a_quarter)


def test_audits_alone_tell_what_another_policy_is_worth_and_costs(
    audited: tuple[list[Asked], dict[str, str]], tmp_path: Path
) -> None:
    asked, env = audited
    candidate, current = policy_file(tmp_path, MORE_TO_SMALL, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    answer = told(compare(env, "--candidate", candidate, "--against", current, "--json"))
    assert (answer["requests"], answer["audited"], answer["refusal"]) == (1600, 400, None)
    assert answer["support"]["differs"] == pytest.approx(0.3, abs=0.04)
    for side, bar in (("candidate", 0.8), ("current", 0.5)):
        for way in ("ips", "snips", "dr"):
            figure = answer["quality"][side][way]
            assert figure["low"] <= worth_of(asked, bar) <= figure["high"]
    gap = answer["quality"]["difference"]["dr"]
    assert gap["high"] < 0.0 and gap["high"] - gap["low"] <= 0.1
    saved = answer["cost_usd"]["difference"]["dr"]["value"]
    assert saved == pytest.approx(-0.3 * 9_000e-9, rel=0.15)
    shown = compare(env, "--candidate", candidate, "--against", current)
    assert shown.exit_code == 0
    assert "doubly robust" in shown.stdout and "effective sample size" in shown.stdout
    assert "new@" in shown.stdout and "old@" in shown.stdout


def test_without_audits_or_exploration_it_refuses_and_says_how_many_it_would_take(tmp_path: Path) -> None:
    asked = traffic(400)
    env = ledger(tmp_path, asked, lambda number: True, key="web")
    files = policy_file(tmp_path, MORE_TO_SMALL, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    for labels in ("audit", "judge", "all"):
        result = compare(env, "--candidate", files[0], "--against", files[1], "--labels", labels)
        assert result.exit_code == 1
        assert re.search(r"not enough support: \d+ more audited requests", result.stdout), result.stdout
    answer = told(compare(env, "--candidate", files[0], "--against", files[1], "--json"), 1)
    assert answer["quality"] is None and answer["cost_usd"] is None and answer["support"]["more"] > 100


def test_with_too_few_audits_it_refuses_with_fewer_the_more_there_are(tmp_path: Path) -> None:
    asked = traffic(600)
    wanting = []
    for every in (200, 20):
        folder = tmp_path / str(every)
        folder.mkdir()
        env = ledger(folder, asked, lambda number, every=every: number % every == 0)
        files = policy_file(folder, MORE_TO_SMALL, "new"), policy_file(folder, BY_COMPLEXITY, "old")
        wanting.append(
            told(compare(env, "--candidate", files[0], "--against", files[1], "--json"), 1)["support"]["more"]
        )
    assert wanting[0] > wanting[1] > 0


def test_explored_requests_with_labels_of_users_are_enough_if_one_believes_them(tmp_path: Path) -> None:
    asked = traffic(1500, explore=0.2)
    env = ledger(tmp_path, asked, lambda number: True, source="user", key="web")
    files = policy_file(tmp_path, MORE_TO_SMALL, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    answer = told(compare(env, "--candidate", files[0], "--against", files[1], "--labels", "user", "--json"))
    figure = answer["quality"]["candidate"]["dr"]
    assert figure["low"] <= worth_of(asked, 0.8) <= figure["high"]
    assert any("labels by user" in one for one in answer["notes"])
    assert told(compare(env, "--candidate", files[0], "--against", files[1], "--json"), 1)["audited"] == 0


def test_a_policy_is_worth_just_what_it_is_worth(audited: tuple[list[Asked], dict[str, str]], tmp_path: Path) -> None:
    _, env = audited
    file = policy_file(tmp_path, BY_COMPLEXITY)
    answer = told(compare({**env, "SIGNALBOX_POLICY": str(file)}, "--candidate", file, "--json"))
    assert answer["support"]["differs"] == 0.0
    assert answer["quality"]["difference"]["dr"]["value"] == 0.0


def test_what_could_not_have_been_audited_is_left_out_and_counted(tmp_path: Path) -> None:
    asked = traffic(800)
    rows = [one.row for one in asked]
    rows[1].ask = {**rows[1].ask, "private": ["email"]}
    rows[2].ask = {**rows[2].ask, "tools": 2}
    rows[3].plan = "cascade"
    rows[5].decided_model = "small" if rows[5].model == "large" else "large"
    rows[6].outcome = "upstream_error"
    rows[7].route = "elsewhere"
    rows[9].probability = None
    env = ledger(tmp_path, asked, a_quarter)
    files = policy_file(tmp_path, ALL_SMALL, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    answer = told(compare(env, "--candidate", files[0], "--against", files[1], "--within", "0.2", "--json"))
    assert answer["requests"] == 793
    assert answer["left_out"] == {
        "never audited: private": 1,
        "never audited: tools": 1,
        "logged: a plan of several calls (cascade)": 1,
        "answered by a fallback": 1,
        "not answered": 1,
        "new has no route elsewhere": 1,
        "without the chance of the choice": 1,
    }


def test_a_cost_that_nobody_knows_is_not_made_up(tmp_path: Path) -> None:
    asked = traffic(1600)
    for one in asked:
        one.row.cost_nano = None
    env = ledger(tmp_path, asked, a_quarter, costs={"small": 1_000, "large": None})
    files = policy_file(tmp_path, MORE_TO_SMALL, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    answer = told(compare(env, "--candidate", files[0], "--against", files[1], "--json"))
    assert answer["quality"] is not None and answer["cost_usd"] is None
    assert "cost      unknown" in compare(env, "--candidate", files[0], "--against", files[1]).stdout


def test_a_window_that_began_before_the_audits_did_is_remarked_on(tmp_path: Path) -> None:
    env = ledger(tmp_path, traffic(1200), lambda number: number > 600 and number % 2 == 0)
    files = policy_file(tmp_path, MORE_TO_SMALL, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    result = compare(env, "--candidate", files[0], "--against", files[1], "--within", "0.2")
    assert result.exit_code == 0 and "50% of the requests came before the first audit" in result.stderr


def test_a_candidate_that_answers_by_plans_of_several_calls_is_not_guessed_at(
    audited: tuple[list[Asked], dict[str, str]], tmp_path: Path
) -> None:
    _, env = audited
    plan = "name: both, fan_out: {ask: [small, large, other], combine: vote}"
    files = policy_file(tmp_path, plan, "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    result = compare(env, "--candidate", files[0], "--against", files[1])
    assert result.exit_code == 1
    assert "no request to compare on" in result.stdout and "plan of several calls" in result.stdout


def test_a_model_that_nobody_ever_saw_is_refused(audited: tuple[list[Asked], dict[str, str]], tmp_path: Path) -> None:
    _, env = audited
    files = policy_file(tmp_path, "name: all, use: other", "new"), policy_file(tmp_path, BY_COMPLEXITY, "old")
    result = compare(env, "--candidate", files[0], "--against", files[1])
    assert result.exit_code == 1 and "never seen" in result.stdout


# --- judges -----------------------------------------------------------------------------------------------------------

CURRENT = load_default()
ASKS = ["What is 2 + 2?", "Prove Fermat's last theorem for n = 4.", "Hi!", "Write a lock-free queue in C.", "Thanks"]


def judged(folder: Path, count: int = 600) -> tuple[dict[str, str], list[Asked]]:
    """Traffic with features of real asks, and the assessment that the shipped judge makes of them."""
    judge = LearnedClassifier(CURRENT)
    vectors = [CURRENT.featurise(AskText(ask)) for ask in ASKS]
    asked = traffic(count)
    for number, one in enumerate(asked):
        vector = vectors[number % len(vectors)]
        assessment = judge.assess_features(vector, ())
        one.row.complexity, one.row.quality = assessment.complexity, {}
        if number % 10:
            one.row.features, one.row.features_digest = vector, CURRENT.featurise.digest
    return ledger(folder, asked, lambda number: number % 3 == 0), asked


def harsher(folder: Path) -> Path:
    """The shipped judge with less belief in the small model."""
    heads = CURRENT.heads.copy()
    heads[0, -1] -= 60.0
    save_artefact(replace(CURRENT, heads=heads, manifest={}), folder, {}, {})
    return folder


def test_a_judge_is_compared_under_the_policy_that_serves_by_the_features_that_were_kept(tmp_path: Path) -> None:
    env, _ = judged(tmp_path)
    env["SIGNALBOX_POLICY"] = str(policy_file(tmp_path, BY_COMPLEXITY))
    artefact = harsher(tmp_path / "harsher")
    answer = told(compare(env, "--candidate", artefact, "--within", "0.2", "--json"))
    assert answer["left_out"] == {"without features that the judge can read": 60}
    assert answer["candidate"].startswith("fast@") and answer["against"].startswith(f"fast@{CURRENT.digest} under own@")
    assert answer["support"]["differs"] > 0.3
    assert answer["cost_usd"]["candidate"]["dr"]["value"] == pytest.approx(10_000e-9, rel=0.01)
    assert answer["cost_usd"]["difference"]["dr"]["low"] > 0.0


def test_an_artefact_of_the_registry_is_named_by_its_sha256_and_the_promoted_one_is_current(tmp_path: Path) -> None:
    env, _ = judged(tmp_path)
    env["SIGNALBOX_POLICY"] = str(policy_file(tmp_path, BY_COMPLEXITY))

    async def keep() -> str:
        store = SqlStore(env["SIGNALBOX_DATABASE_URL"])
        await store.open()
        registry = Registry(store)
        sha256 = await registry.save(pack(harsher(tmp_path / "harsher")), {})
        await registry.promote(sha256, "tests")
        await store.aclose()
        return sha256

    sha256 = asyncio.run(keep())
    answer = told(compare(env, "--candidate", sha256[:12], "--json"))
    assert answer["candidate"] == answer["against"] and answer["support"]["differs"] == 0.0


def test_vectors_of_another_feature_function_are_never_read(tmp_path: Path) -> None:
    asked = traffic(50)
    for one in asked:
        one.row.features, one.row.features_digest = np.zeros(CURRENT.featurise.size, np.float32), "foreign"
    env = ledger(tmp_path, asked, a_quarter)
    env["SIGNALBOX_POLICY"] = str(policy_file(tmp_path, BY_COMPLEXITY))
    answer = told(compare(env, "--candidate", harsher(tmp_path / "h"), "--json"), 1)
    assert answer["requests"] == 0 and answer["left_out"] == {"without features that the judge can read": 50}


# --- what cannot be done ----------------------------------------------------------------------------------------------


def test_an_empty_ledger_says_so(tmp_path: Path) -> None:
    env = ledger(tmp_path, [], nobody)
    file = policy_file(tmp_path, ALL_SMALL)
    result = compare(env, "--candidate", file, "--against", file)
    assert result.exit_code == 1 and "no request to compare on" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--candidate", "nowhere"], "no artefact's folder, no policy file and no sha256"),
        (["--candidate", "abcdef12"], "0 artefacts of the registry"),
        (["--candidate", "{file}", "--since", "yesterday"], "since"),
        (["--candidate", "{file}", "--within", "0"], "--within"),
        (["--candidate", "{file}", "--labels", "gossip"], "gossip"),
        (["--candidate", "{file}"], "Which policy serves?"),
        (["--candidate", "{folder}"], "manifest.json is not there"),
        (["--candidate", "{broken}"], "broken.yaml"),
        ([], "--candidate"),
    ],
)
def test_what_makes_no_sense_ends_with_2_and_says_why(tmp_path: Path, arguments: list[str], says: str) -> None:
    env = ledger(tmp_path, traffic(10), a_quarter)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.yaml").write_text("models: [")
    names = {
        "file": policy_file(tmp_path, ALL_SMALL),
        "folder": tmp_path / "empty",
        "broken": tmp_path / "broken.yaml",
    }
    result = compare(env, *(argument.format(**names) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert says in re.sub(r"\x1b\[[\d;]*m", "", result.stderr)


AWAY = "postgresql://nobody@127.0.0.1:1/none"


def test_a_database_out_of_reach_ends_with_3(tmp_path: Path) -> None:
    file = policy_file(tmp_path, ALL_SMALL)
    env = {"SIGNALBOX_DATABASE_URL": AWAY, "SIGNALBOX_DATA_DIR": str(tmp_path)}
    assert compare(env, "--candidate", file, "--against", file).exit_code == 3


@pytest.mark.parametrize("command", ["retrain", "history", "rollback", "promote abcdef12"])
def test_so_do_the_other_commands_that_learn(tmp_path: Path, command: str) -> None:
    env = {"SIGNALBOX_DATABASE_URL": AWAY, "SIGNALBOX_DATA_DIR": str(tmp_path)}
    assert CliRunner().invoke(app, command.split(), env=env).exit_code == 3
