"""Policies beside a policy: read with it, kept when broken, never chained; and the share that a canary gets."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from router.cli import app
from router.policy.beside import in_share
from router.policy.reload import PolicyWatcher
from router.policy.shipped import shipped_policy
from tests.policy.making import ENV

GOOD = shipped_policy("default").read_text("utf-8")
OTHER = GOOD.replace("0.35", "0.55")
BOTH = "shadow: next.yaml\ncanary: {policy: next.yaml, share: 0.2}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(BOTH + GOOD, "utf-8")
    (tmp_path / "next.yaml").write_text(OTHER, "utf-8")
    return path


def test_they_are_found_beside_the_policys_file_and_followed(file: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    assert [policy.name for policy in watcher.in_use] == ["policy", "next", "next"]
    assert [policy.name for policy in watcher.called] == ["policy", "next"]
    before = watcher.shadow.current
    assert watcher.poll() is False
    file.with_name("next.yaml").write_text(GOOD, "utf-8")
    assert watcher.poll() is True
    assert watcher.shadow.current is not None and watcher.shadow.current is not before
    file.write_text(GOOD, "utf-8")
    assert watcher.poll() is True and watcher.in_use == (watcher.current,)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (OTHER.replace("use: small", "use: smal"), "did you mean `small`?"),
        ("shadow: policy.yaml\n" + OTHER, "may name no `shadow`"),
        ("canary: {policy: policy.yaml, share: 0.1}\n" + OTHER, "may name no `canary`"),
        (None, "cannot be read"),
    ],
)
def test_one_that_cannot_be_used_is_told_and_the_last_good_one_stays(file: Path, bad: str | None, says: str) -> None:
    watcher, following = PolicyWatcher(file, ENV), file.with_name("next.yaml")
    good = watcher.shadow.current
    if bad is None:
        following.unlink()
    else:
        following.write_text(bad, "utf-8")
    assert watcher.poll() is False and watcher.error is None
    assert watcher.shadow.current is good and watcher.canary.current is not None
    assert len(watcher.notes) == 2 and all(says in note for note in watcher.notes)
    following.write_text(OTHER, "utf-8")
    watcher.poll()
    assert watcher.notes == []
    fresh = PolicyWatcher(file, ENV)
    assert fresh.shadow.current is not None


def test_a_policy_starts_without_those_that_were_never_good(file: Path) -> None:
    file.with_name("next.yaml").write_text("version: 1", "utf-8")
    watcher = PolicyWatcher(file, ENV)
    assert watcher.in_use == (watcher.current,) and len(watcher.notes) == 2
    assert watcher.ruling("auto", "default", "any") is watcher.current


def test_the_canary_rules_where_it_knows_what_is_asked_for(file: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    inside = next(str(number) for number in range(99) if in_share("default", str(number), 0.2))
    outside = next(str(number) for number in range(99) if not in_share("default", str(number), 0.2))
    assert watcher.ruling("auto", "default", inside) is watcher.canary.current
    assert watcher.ruling("auto", "default", outside) is watcher.current
    assert watcher.ruling("elsewhere", "default", inside) is watcher.current
    assert watcher.told_canary(watcher.current)["canary"]["rules"] is False


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_share_keeps_the_conversations_of_a_smaller(tenant: str, name: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert in_share(tenant, name, less) <= in_share(tenant, name, more)


def test_a_share_is_about_that_share() -> None:
    count = sum(in_share("default", f"fp_{number}", 0.05) for number in range(20_000))
    assert 850 < count < 1150, "1000 expected; 1150 is five standard deviations off"


# --- on the command line --------------------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)], env=ENV)


def test_check_looks_at_those_beside_it_too(file: Path) -> None:
    assert run("check", file).exit_code == 0
    file.with_name("next.yaml").write_text(OTHER.replace("use: small", "use: smal"), "utf-8")
    result = run("check", file)
    assert result.exit_code == 1
    assert "finding: the canary cannot be used" in result.stdout and "next.yaml:15:" in result.stdout


def test_explain_says_whether_the_canary_would_rule(file: Path) -> None:
    seen = set()
    for number in range(40):
        result = run("explain", file, "--ask", "hi", "--header", f"x-signalbox-conversation: {number}", "--json")
        canary = orjson.loads(result.stdout)["canary"]
        assert canary["policy"].startswith("next@") and canary["rules"] is in_share("default", str(number), 0.2)
        seen.add(canary["rules"])
        if len(seen) == 2:
            break
    assert seen == {True, False}
    assert "of conversations)" in run("explain", file, "--ask", "hi").stdout
