"""One number of one rule is written into a policy file; everything else stays as it was, to the byte."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from router.errors import PolicyError
from router.policy.compiled import Agree, Cascade, Choose
from router.policy.load import load_policy
from router.policy.setting import set_number

HEAD = """\
# ours
version: 1
models:
  small: {tier: small, model: s, base_url: "http://s.test/v1", price: {input: 0, output: 1}}
  other: {tier: small, model: o, base_url: "http://o.test/v1", price: {input: 0, output: 2}}
  large: {tier: large, model: l, base_url: "http://l.test/v1", price: {input: 0, output: 10}}
default: large
routes:
  auto:
    baseline: large
    rules:
"""
RULES = """\
      # first things first
      - {name: flow, choose: cheapest, among: [small, large], keep_quality: 0.9}  # kept
      - name: block   # named
        when: "ask.task == 'code'"
        cascade:
          first: small   # cheap
          then: large
      - {name: vote, when: "complexity < 0.4", agree: {ask: [small, other], then: large, trust: 0.5 }}
      - {name: rest, use: large}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(HEAD + RULES)
    return file


def put(file: Path, rule: str, inside: str | None, key: str, value: float, remark: str = "on data") -> str:
    set_number(file, "auto", rule, inside, key, value, remark, {})
    return file.read_text()


def act_of(file: Path, rule: str) -> object:
    return next(one.act for one in load_policy(file, {}).routes["auto"].rules if one.name == rule)


def test_a_key_is_added_to_a_rule_on_one_line(policy: Path) -> None:
    text = put(policy, "flow", None, "threshold", 0.12)
    assert text == HEAD + RULES.replace(
        "      - {name: flow, choose: cheapest, among: [small, large], keep_quality: 0.9}  # kept\n",
        "      # tuned on data\n"
        "      - {name: flow, choose: cheapest, among: [small, large], keep_quality: 0.9, threshold: 0.12}  # kept\n",
    )
    act = act_of(policy, "flow")
    assert isinstance(act, Choose) and act.threshold == 0.12


def test_a_key_is_added_to_a_rule_of_many_lines(policy: Path) -> None:
    text = put(policy, "block", "cascade", "trust", 0.7)
    assert text == HEAD + RULES.replace(
        "      - name: block   # named\n", "      # tuned on data\n      - name: block   # named\n"
    ).replace("          first: small   # cheap\n", "          first: small   # cheap\n          trust: 0.7\n")
    act = act_of(policy, "block")
    assert isinstance(act, Cascade) and act.trust == 0.7


def test_a_key_that_is_there_is_changed_where_it_stands_and_its_remark_with_it(policy: Path) -> None:
    put(policy, "vote", "agree", "trust", 0.61, "first time")
    text = put(policy, "vote", "agree", "trust", 0.9, "second time")
    assert text == HEAD + RULES.replace(
        "      - {name: vote", "      # tuned second time\n      - {name: vote"
    ).replace("trust: 0.5 }", "trust: 0.9 }")
    act = act_of(policy, "vote")
    assert isinstance(act, Agree) and act.trust == 0.9


def test_a_comment_of_the_operator_is_no_remark_of_ours(policy: Path) -> None:
    put(policy, "flow", None, "threshold", 0.1)
    assert "      # first things first\n      # tuned on data\n" in policy.read_text()


def test_line_ends_marks_modes_and_links_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + (HEAD + RULES).replace("\n", "\r\n").encode())
    file.chmod(0o640)
    link.symlink_to(file)
    set_number(link, "auto", "block", "cascade", "trust", 0.25, "on data", {})
    raw = file.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\n") == raw.count(b"\r\n")
    assert link.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o640
    act = act_of(file, "block")
    assert isinstance(act, Cascade) and act.trust == 0.25


def test_what_would_not_load_is_not_written(policy: Path) -> None:
    before = policy.read_bytes()
    with pytest.raises(PolicyError, match="less than or equal to 1"):
        put(policy, "flow", None, "threshold", 7.0)
    assert policy.read_bytes() == before
    assert [file.name for file in policy.parent.iterdir()] == ["own.yaml"]


def test_a_value_out_of_the_environment_is_left_to_it(policy: Path) -> None:
    policy.write_text(policy.read_text().replace("trust: 0.5", 'trust: "${TRUST:-0.5}"'))
    before = policy.read_bytes()
    with pytest.raises(PolicyError, match="comes out of the environment"):
        put(policy, "vote", "agree", "trust", 0.9)
    assert policy.read_bytes() == before


def test_a_rule_that_two_routes_share_is_not_changed_for_both(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    shared = RULES.replace("- {name: flow", "- &shared {name: flow")
    file.write_text(HEAD + shared + "  quick:\n    baseline: large\n    rules: [*shared]\n")
    before = file.read_bytes()
    with pytest.raises(PolicyError, match="cannot be put here without changing more"):
        put(file, "flow", None, "threshold", 0.2)
    assert file.read_bytes() == before


def test_a_rule_that_is_not_there_is_said(policy: Path) -> None:
    with pytest.raises(PolicyError, match="no rule flwo"):
        put(policy, "flwo", None, "threshold", 0.2)
