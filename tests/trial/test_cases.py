"""`signalbox policy test`, as a person and as CI run it: what holds, what does not and why, what cannot be read."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from router.cli import app
from router.policy.shipped import shipped_policy
from tests.policy.making import ENV, MODELS

RULES = """
routes:
  auto:
    baseline: large
    privacy: enforce
    rules:
      - {name: private, when: "size(ask.private) > 0", use: small, fallback: []}
      - {name: vip, when: "'vip' in key.tags && tenant == 'acme' && hour == 8", use: large}
      - {name: red, when: "headers['x-team'] == 'red'", use: medium}
      - {name: by topic, when: "metadata.pick == true", select: {by: embedding, among: [proof, wine]}}
      - {name: careful, when: "ask.task == 'code'", cascade: {first: small, then: medium}}
      - {name: easy, when: "complexity < 0.35", use: small, fallback: [medium]}
      - {name: rest, use: large, fallback: [odd]}
options:
  proof: {use: large, description: Proofs}
  wine: {use: small, description: Wine}
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", "test", *map(str, arguments)], env=ENV)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(MODELS + RULES)
    return file


def cases(policy: Path, text: str) -> Path:
    file = policy.with_name("own.cases.yaml")
    file.write_text(text)
    return file


@pytest.mark.parametrize("name", ["default", "privacy-first"])
def test_the_cases_that_ship_hold(name: str) -> None:
    result = run(shipped_policy(name))
    assert result.exit_code == 0, result.output
    assert "9 of 9 cases hold" in result.stdout


def test_everything_that_a_case_may_say_reaches_the_decision(policy: Path) -> None:
    cases(
        policy,
        """
- {name: facts, ask: hi, tags: [vip], tenant: acme, at: "2026-01-31T08:30:00Z", judged: {},
   expect: {rule: vip, model: large, plan: single, route: auto}}
- {name: headers, ask: hi, headers: {X-Team: red}, judged: {}, expect: {rule: red}}
- {name: selection, ask: hi, metadata: {pick: true}, select: [wine], judged: {},
   expect: {model: small, options: [wine]}}
- {name: plan, ask: hi, judged: {task: code}, expect: {plan: cascade, model: small, not_model: [large, odd]}}
- {name: complexity, ask: hi, judged: {complexity: 0.2}, expect: {rule: easy, max_cost_usd: 0}}
- {name: outright, model: medium, ask: hi, expect: {rule: pinned}}
- {name: whole body, body: {model: medium, messages: [{role: user, content: hi}]}, expect: {model: medium}}
- {name: turns, messages: [{role: system, content: be kind}, {role: user, content: hi}], expect: {model: small}}
- {name: ill, ask: hi, unhealthy: [large], judged: {complexity: 0.9}, expect: {model: odd, rule: rest}}
- {name: refused, ask: hi, private: [card], unhealthy: [small], judged: {}, expect: {refused: no_healthy_model}}
- {name: misspelt, body: {model: lagre, messages: [{role: user, content: hi}]}, expect: {refused: model_not_found}}
""",
    )
    result = run(policy)
    assert result.exit_code == 0, result.output


def test_what_does_not_hold_is_said_with_the_rules_that_led_there(policy: Path) -> None:
    file = cases(
        policy,
        """
- {name: fine, ask: hi, judged: {complexity: 0.1}, expect: {model: small}}
- {name: wrong, ask: hi, judged: {complexity: 0.1}, expect: {model: large, rule: rest, not_model: [medium]}}
- {name: dear, ask: hi, judged: {complexity: 0.9}, expect: {max_cost_usd: 0.000001}}
- {name: not refused, ask: hi, judged: {complexity: 0.1}, expect: {refused: no_eligible_model}}
- {name: refused, ask: hi, model: large, private: [card], judged: {}, expect: {model: large}}
""",
    )
    result = run(policy)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert "ok    fine" in lines and f"FAIL  wrong ({file})" in lines
    assert "      model: expected large, seen small" in lines
    assert "      rule: expected rest, seen easy" in lines
    assert "      not_model: expected not medium, seen small, medium may be asked" in lines
    assert "      * easy: complexity < 0.35" in lines
    assert "      refused: expected no_eligible_model, seen no: small by `easy`" in lines
    assert "      refused: expected no, seen no_eligible_model" in lines
    assert lines[-1].endswith("1 of 5 cases hold")
    told = orjson.loads(run(policy, "--json").stdout)
    assert (told["cases"], told["failed"]) == (5, 4)
    wrong = told["files"][str(file)][1]
    assert wrong["differences"][0] == {"what": "model", "expected": "large", "seen": "small"}
    assert wrong["decision"]["rule"] == "easy" and wrong["rules"][-1]["matched"] is True


def test_an_ask_that_is_not_pinned_is_judged_by_the_judge_in_force(policy: Path) -> None:
    cases(policy, "- {name: easy, ask: thanks!, expect: {rule: easy}}")
    assert run(policy).exit_code == 0


def test_several_files_of_cases_can_be_named(policy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("- {name: b, ask: hi, judged: {complexity: 0.9}, expect: {model: small}}")
    good = cases(policy, "- {name: a, ask: hi, judged: {complexity: 0.1}, expect: {model: small}}")
    result = run(policy, good, other)
    assert result.exit_code == 1 and f"FAIL  b ({other})" in result.stdout and "ok    a" in result.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "this is a list of cases"),
        ("cases: []", "this is a list of cases"),
        ("[]", "there is no case in it"),
        ("- {name: a, ask: hi, expct: {model: small}}", ":1:22: unknown key `expct`; did you mean `expect`?"),
        ("- {name: a, ask: hi, expect: {modle: small}}", "unknown key `modle`; did you mean `model`?"),
        ("- {name: a, ask: hi, expect: {model: smal}}", ":1:38: no model is called `smal`; did you mean `small`?"),
        ("- {name: a, ask: hi, expect: {rule: eazy}}", "no rule is called `eazy`; did you mean `easy`?"),
        ("- {name: a, ask: hi, expect: {not_model: [lagre]}}", "no model is called `lagre`"),
        ("- {name: a, ask: hi, expect: {}}", "case `a` expects nothing"),
        ("- {name: a, ask: hi}", "`expect` is missing"),
        ("- {name: a, expect: {model: small}}", "give exactly one of `ask`, `messages` and `body`; it has none"),
        ("- {name: a, ask: hi, body: {}, expect: {model: small}}", "it has `ask` and `body`"),
        ("- {name: a, ask: hi, at: noon, expect: {model: small}}", "should be an RFC 3339 time"),
        ("- {name: a, ask: hi, private: [mail], expect: {model: small}}", "no kind of private text is called `mail`"),
        ("- {name: a, ask: hi, select: [beer], expect: {model: small}}", "no option is called `beer`"),
        ("- {name: a, ask: hi, judged: {complexity: 2}, expect: {model: small}}", "less than or equal to 1"),
        ("- {name: a, ask: hi, judged: {quality: {smal: 1}}, expect: {model: small}}", "no model is called `smal`"),
        ("- {name: a, ask: hi, expect: {refused: x, model: small}}", "expect nothing else beside `refused`"),
        ("- {name: a, ask: hi, expect: {model: small}}\n- {name: a, ask: hi, expect: {model: small}}",
         ":2:10: two cases are called `a`"),
        ("- {name: a, ask: '${NO_SUCH}', expect: {model: small}}", "NO_SUCH is not set"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_ends_with_2_and_its_place(policy: Path, text: str, says: str) -> None:
    file = cases(policy, text)
    result = run(policy)
    assert result.exit_code == 2
    assert says in result.stderr and str(file) in result.stderr


def test_without_a_file_of_cases_it_says_where_it_looked(policy: Path) -> None:
    result = run(policy)
    assert result.exit_code == 2 and f"{policy.with_name('own.cases.yaml')}: cannot be read" in result.stderr
