"""`signalbox policy check|explain|schema`, run as a person runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from router.cli.policy import app
from router.policy.in_effect import in_effect
from router.policy.load import load_policy
from router.policy.schema import json_schema
from router.policy.shipped import shipped_policy
from tests.policy.making import ENV

DEFAULT = str(shipped_policy("default"))


def run(*arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin, env={**ENV, **(env or {})})


def told(*arguments: str, stdin: str | None = None) -> dict[str, Any]:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = orjson.loads(result.stdout)
    return answer


def test_a_good_policy_passes() -> None:
    result = run("check", DEFAULT)
    assert result.exit_code == 0 and result.stdout.startswith("default@")
    answer = told("check", DEFAULT)
    assert answer["models"] == ["small", "large"] and answer["findings"] == []


def test_a_bad_policy_ends_with_2_and_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(Path(DEFAULT).read_text("utf-8").replace("use: small", "use: smal", 1), "utf-8")
    result = run("check", str(file))
    assert result.exit_code == 2
    assert f"{file}:15:" in result.stderr and "did you mean `small`?" in result.stderr
    assert run("check", str(tmp_path / "none.yaml")).exit_code == 2
    assert run("check", DEFAULT, env={"ANTHROPIC_API_KEY": ""}).exit_code == 2


def test_rules_that_can_hardly_act_end_with_1(tmp_path: Path) -> None:
    file = tmp_path / "dead.yaml"
    file.write_text(Path(DEFAULT).read_text("utf-8").replace('when: "ask.housekeeping", ', ""), "utf-8")
    result = run("check", str(file))
    assert result.exit_code == 1
    assert "`housekeeping` always matches" in result.stdout and "easy, keep the promise" in result.stdout
    assert f"finding: {file}:17:9: route auto:" in result.stdout


def test_explain_answers_in_the_shape_of_the_route_endpoint() -> None:
    answer = told("explain", DEFAULT, "--ask", "hi")
    assert set(answer) == {"request_id", "route", "policy", "ask", "assessment", "eligible", "rules", "decision"}
    assert set(answer["ask"]) == {
        "input_tokens", "turns", "task", "language", "tools", "json_schema", "images", "housekeeping", "private"
    }  # fmt: skip
    assert set(answer["assessment"]) == {
        "complexity", "quality", "gain", "support", "task", "language", "classifier"
    }  # fmt: skip
    assert set(answer["decision"]) == {
        "plan", "model", "rule", "fallback", "expected_cost_usd", "probability", "cache"
    }  # fmt: skip
    assert answer["route"] == "auto" and answer["decision"]["model"] == "small"
    assert answer["rules"][-1]["matched"] is True


def test_a_model_named_outright_has_no_route() -> None:
    answer = told("explain", DEFAULT, "--ask", "hi", "--model", "large")
    assert (answer["route"], answer["decision"]["rule"], answer["rules"]) == (None, "pinned", [])


def test_private_text_and_private_by_word_of_mouth_stay_local() -> None:
    for arguments in (["--ask", "prove it to jane@example.org"], ["--ask", "prove it", "--private", "card"]):
        assert told("explain", DEFAULT, *arguments)["decision"]["rule"] == "private stays local"


def test_a_refused_ask_ends_with_1_and_the_error() -> None:
    result = run("explain", DEFAULT, "--ask", "hi", "--private", "card", "--model", "large", "--json")
    assert result.exit_code == 1
    assert orjson.loads(result.stdout)["error"]["code"] == "no_eligible_model"


def test_a_whole_body_can_be_explained(tmp_path: Path) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 999_000}
    file = tmp_path / "body.json"
    file.write_bytes(orjson.dumps(body))
    assert run("explain", DEFAULT, "--body", str(file)).exit_code == 1
    del body["max_tokens"]
    assert told("explain", DEFAULT, "--body", "-", stdin=orjson.dumps(body).decode())["ask"]["turns"] == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["--ask", "a", "--body", "b"], ["--body", "missing.json"], ["--ask", "hi", "--model", "nobody"],
     ["--ask", "hi", "--header", "no colon"], ["--ask", "hi", "--private", "emial"]],
)  # fmt: skip
def test_bad_input_ends_with_2(arguments: list[str]) -> None:
    assert run("explain", DEFAULT, *arguments).exit_code == 2


def test_tags_tenants_and_headers_reach_the_conditions(tmp_path: Path) -> None:
    file = tmp_path / "facts.yaml"
    condition = "'vip' in key.tags && tenant == 'acme' && headers['x-team'] == 'red'"
    file.write_text(Path(DEFAULT).read_text("utf-8").replace("ask.housekeeping", condition), "utf-8")
    given = ["--tag", "vip", "--tenant", "acme", "--header", "X-Team: red"]
    assert told("explain", str(file), "--ask", "hi", *given)["decision"]["rule"] == "housekeeping"


def test_explain_tells_people_who_answers_and_every_key_in_effect() -> None:
    out = run("explain", DEFAULT, "--ask", "hi").stdout
    assert "answers   small, then large by rule `easy`" in out
    assert "* easy: complexity < 0.35" in out
    assert "sekret" not in out


def keys_of(schema: dict[str, Any], part: dict[str, Any]) -> set[str]:
    """Every key that can be written in the file, by its last name."""
    if "$ref" in part:
        return keys_of(schema, schema["$defs"][part["$ref"].rsplit("/", 1)[-1]])
    keys = set()
    for name, inner in part.get("properties", {}).items():
        keys |= {name} | keys_of(schema, inner)
    named = part.get("patternProperties", {}).values()
    for inner in (part.get("additionalProperties"), part.get("items"), *part.get("anyOf", ()), *named):
        if isinstance(inner, dict):
            keys |= keys_of(schema, inner)
    return keys


def test_every_key_of_the_policy_has_a_line_in_explain_and_a_word_in_the_docs() -> None:
    lines = []
    policy = load_policy(shipped_policy("every-key"), ENV)
    for route in policy.routes.values():
        lines += in_effect(policy, route)
    text = "\n".join(f"{key} {value}" for key, value in lines)
    docs = (Path(__file__).parents[2] / "docs/policies.md").read_text("utf-8")
    keys = keys_of(json_schema(), json_schema())
    assert {"use", "keep_quality", "phone_region", "first_token", "cache_write", "ttl"} <= keys
    shown = text.replace("cache read", "cache_read").replace("cache write", "cache_write")
    shown = shown.replace("in, $", "input, $").replace("out per million", "output per million")
    missing = {key for key in keys if key not in shown and key not in ("models", "routes", "rules")}
    assert not missing, "no line in explain"
    assert not {key for key in keys if f"`{key}`" not in docs}, "not in docs/policies.md"


def test_the_schema_is_printed() -> None:
    assert orjson.loads(run("schema").stdout) == json_schema()
