"""What `signalbox keys` says and does, and what `signalbox doctor` says of keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from router.access.keys import KeyRing
from router.cli import app


@pytest.fixture
def asked(tmp_path: Path):
    """Runs a command on a keys file of its own; gives the exit code and the JSON it printed."""

    def ask(*arguments: str) -> tuple[int, Any]:
        env = {"SIGNALBOX_KEYS_FILE": str(tmp_path / "keys.yaml"), "SIGNALBOX_DATA_DIR": str(tmp_path / "data")}
        done = CliRunner().invoke(app, [*arguments, "--json"], env=env)
        return done.exit_code, json.loads(done.stdout) if done.stdout else None

    return ask


def test_a_key_is_made_listed_and_revoked(asked, tmp_path: Path) -> None:
    code, made = asked("keys", "create", "bob", "--tenant", "acme", "--tag", "gold")
    assert code == 0
    caller = KeyRing(file=tmp_path / "keys.yaml").caller(f"Bearer {made['key']}")
    assert (caller.tenant, caller.key, caller.tags) == ("acme", "bob", ("gold",))
    assert [key["name"] for key in asked("keys", "list")[1]] == ["bob"]
    assert asked("keys", "revoke", "bob") == (0, {"revoked": "bob", "left": 0})
    assert asked("keys", "list") == (0, [])
    assert asked("keys", "revoke", "bob") == (1, None)


def test_the_doctor_says_that_an_empty_keys_file_lets_nobody_in(asked) -> None:
    _, findings = asked("doctor")
    (keys,) = [finding for finding in findings if finding["part"] == "keys"]
    assert keys["verdict"] == "warning" and "nobody is let in" in keys["text"]
