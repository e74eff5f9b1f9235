"""`signalbox policy replay`: figures that can be worked out by hand, plans carried out on answers, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from router.cli import app
from tests.docs.reading import DOCS, blocks_of
from tests.trial.outcomes import data_file, line, policy_file

HI, LONG = "hi", "hello " * 300
BY_LENGTH = "name: short, when: 'ask.input_tokens < 50', use: small\nname: rest, use: large"


def run(policy: Path, data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["policy", "replay", str(policy), "--data", str(data), *arguments])


def told(policy: Path, data: Path, *arguments: str) -> dict[str, Any]:
    result = run(policy, data, "--json", *arguments)
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = orjson.loads(result.stdout)
    return answer


def quality(figures: dict[str, Any], name: str) -> tuple[float, float]:
    """(quality, dollars) of one way to answer, means a row."""
    [found] = [one for one in (figures["policy"], *figures["yardsticks"]) if one["name"].startswith(name)]
    return round(found["quality"]["value"], 6), round(found["cost_usd"]["value"], 6)


def test_what_would_have_been_is_counted_beside_the_yardsticks(tmp_path: Path) -> None:
    data = data_file(
        tmp_path,
        line(1, HI, small=1, large=1),
        line(2, HI, small=0, large=1),
        line(3, LONG, small=1, large=1),
        line(4, LONG, small=0, large=0.5),
    )
    answer = told(policy_file(tmp_path, BY_LENGTH), data)
    figures = answer["figures"]
    assert figures["by_model"] == {"small": 2, "large": 2}
    assert figures["by_rule"] == {"short": 2, "rest": 2} and figures["by_plan"] == {"single": 4}
    assert quality(figures, "this policy") == (0.625, 0.0055)
    assert quality(figures, "always small (cheapest)") == (0.5, 0.001)
    assert quality(figures, "always large (baseline)") == (0.875, 0.01)
    assert quality(figures, "random, same shares") == (0.6875, 0.0055)
    assert quality(figures, "oracle") == (0.875, 0.0055)
    assert round(figures["kept"]["value"], 4) == 0.7143 and round(figures["saved"]["value"], 4) == 0.45
    assert figures["policy"]["quality"]["low"] <= 0.625 <= figures["policy"]["quality"]["high"]
    shown = run(policy_file(tmp_path, BY_LENGTH), data).stdout
    assert "by model  small 50.0%, large 50.0%" in shown and "always large (baseline)" in shown


def test_votes_are_carried_out_on_the_answers_of_the_file_and_billed_in_full(tmp_path: Path) -> None:
    rule = "name: vote, agree: {ask: [small, other], then: large, trust: 0.5}"
    data = data_file(
        tmp_path,
        line(1, HI, small=(1, "A"), o_1=(1, "A"), large=(1, "A")),
        line(2, HI, small=(0, "B"), o_1=(1, "A"), large=(1, "A")),
        line(3, HI, small=(0, None), o_1=(0, None), large=(1, "A")),
    )
    figures = told(policy_file(tmp_path, rule), data)["figures"]
    assert figures["by_plan"] == {"agree": 3} and figures["by_model"] == {"large": 2, "small": 1}
    assert quality(figures, "this policy") == (1.0, round((3 * 0.003 + 2 * 0.01) / 3, 6))


def test_an_answer_that_could_not_be_read_goes_on_to_the_next_model(tmp_path: Path) -> None:
    rule = "name: first, cascade: {first: small, then: large}"
    data = data_file(
        tmp_path, line(1, HI, small=(0.5, "A"), large=(1, "A")), line(2, HI, small=(0, None), large=(1, "A"))
    )
    figures = told(policy_file(tmp_path, rule), data)["figures"]
    assert quality(figures, "this policy") == (0.75, round((0.001 + 0.001 + 0.01) / 2, 6))


def test_what_a_file_cannot_tell_is_left_out_and_said(tmp_path: Path) -> None:
    rules = (
        "name: vote, when: 'ask.input_tokens < 50', agree: {ask: [small, other], then: large}\n"
        "name: fuse, when: 'ask.input_tokens < 200', fan_out: {ask: [small, large], combine: fuse, judge: large}\n"
        "name: night, when: 'hour > 20', use: small"
    )
    data = data_file(
        tmp_path,
        line(1, HI, small=1, o_1=1, large=1),
        line(2, "hello " * 60, small=1, o_1=1, large=1),
        line(3, LONG, small=1, o_1=1, large={"score": 1}),
        line(4, LONG, small=1, o_1=1),
    )
    answer = told(policy_file(tmp_path, rules), data)
    assert answer["rows"] == 3 and answer["incomplete"] == 1
    assert answer["left_out"] == {
        "the data holds no `answer` of small, so its plan cannot be carried out": 1,
        "what a plan `fan_out` answers cannot be known from a file": 1,
    }
    assert answer["figures"]["rows"] == 1
    assert any("Monday at noon" in note and "hour" in note for note in answer["notes"])
    assert any("300 output tokens are assumed" in note and "large" in note for note in answer["notes"])


def test_refused_rows_are_counted(tmp_path: Path) -> None:
    data = data_file(tmp_path, line(1, "mail jane.doe@example.org", large=1), line(2, HI, large=1))
    answer = told(policy_file(tmp_path, "name: r, use: large"), data)
    assert answer["refused"] == {"no_eligible_model": 1} and answer["figures"]["rows"] == 1


def test_models_of_the_data_can_stand_for_those_of_the_policy(tmp_path: Path) -> None:
    data = data_file(tmp_path, line(1, HI, tiny=0, big=1))
    file = policy_file(tmp_path, BY_LENGTH)
    answer = told(file, data, "--as", "small=tiny", "--as", "large=big")
    assert answer["models"] == {"small": "tiny", "large": "big"}
    assert answer["figures"]["by_model"] == {"small": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no model of the policy is in the data: name some with --as small=DATANAME; the data has big, tiny"),
        (["--as", "small=tiney"], "the data has no model 'tiney'; did you mean `tiny`?"),
        (["--as", "smal=tiny"], "did you mean `small`?"),
        (["--as", "tiny"], "--as wants policyname=DATANAME"),
        (["--as", "small=tiny", "--route", "atuo"], "did you mean `auto`?"),
    ],
)
def test_names_that_do_not_fit_end_with_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    data = data_file(tmp_path, line(1, HI, tiny=0, big=1))
    result = run(policy_file(tmp_path, BY_LENGTH), data, *arguments)
    assert result.exit_code == 2 and says in result.stderr


def test_a_file_that_is_no_outcome_file_ends_with_2_and_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "data.jsonl"
    broken.write_text('{"query_id": "a", "domain": "d", "query": "x", "outcomes": {}}\n{"query": "y"}\n')
    result = run(policy_file(tmp_path, BY_LENGTH), broken)
    assert result.exit_code == 2 and f"{broken}:2: not an outcome line: 'domain' is missing" in result.stderr
    assert run(policy_file(tmp_path, BY_LENGTH), tmp_path / "none.jsonl").exit_code == 2


def test_the_line_that_the_page_on_commands_shows_is_one(tmp_path: Path) -> None:
    [shown] = [block.text for block in blocks_of(DOCS / "commands.md") if block.heading == "Outcome files"]
    names = ["--as", "small=qwen2.5-3b", "--as", "large=gpt-4.1"]
    result = run(policy_file(tmp_path, BY_LENGTH), data_file(tmp_path, orjson.loads(shown)), *names, "--json")
    assert result.exit_code == 0 and orjson.loads(result.stdout)["rows"] == 1, result.stderr
