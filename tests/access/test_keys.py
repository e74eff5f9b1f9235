"""Keys lead to tenants; secrets are nowhere to be found."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from router.access.admin import AdminDoor
from router.access.keys import Key, KeyRing, digest, keys_from_setting, read_keys_file, write_keys_file
from router.errors import NotAuthenticated, SettingsError


def test_a_key_leads_to_its_tenant() -> None:
    ring = KeyRing(keys_from_setting("acme:one, acme:two ,beta:three"))
    assert [ring.caller(f"Bearer {key}").tenant for key in ("one", "two", "three")] == ["acme", "acme", "beta"]
    assert ring.caller("bearer two").key == "acme-2"


@pytest.mark.parametrize("header", [None, "", "one", "Basic one", "Bearer", "Bearer ", "Bearer wrong", "Bearer \ud800"])
def test_any_other_header_is_refused(header: str | None) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        KeyRing(keys_from_setting("acme:one")).caller(header)
    assert refused.value.code == "invalid_api_key"


def test_without_keys_everybody_is_the_default_tenant() -> None:
    assert KeyRing().caller(None).tenant == "default"


def test_an_empty_keys_file_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(NotAuthenticated):
        KeyRing(file=tmp_path / "keys.yaml").caller("Bearer x")


def test_keys_made_and_revoked_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write_keys_file(path, [Key("a", "acme", digest("one"))])
    ring = KeyRing(file=path)
    assert ring.caller("Bearer one").key == "a"
    write_keys_file(path, [Key("b", "beta", digest("two"), ("gold",))])
    ring.poll()
    assert ring.caller("Bearer two").tags == ("gold",)
    with pytest.raises(NotAuthenticated):
        ring.caller("Bearer one")


def test_a_broken_keys_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    write_keys_file(path, [Key("a", "acme", digest("one"))])
    ring = KeyRing(file=path)
    path.write_text("- {name: a, tenant")
    ring.poll()
    assert ring.caller("Bearer one").key == "a"


@pytest.mark.parametrize(
    "entry",
    [
        "just text",
        "- 1",
        "- {name: a}",
        "- {name: a, tenant: b, sha256: short}",
        "- {name: a, tenant: b, sha256: " + "0" * 64 + ", tags: x}",
        "- {name: a, tenant: b, sha256: " + "0" * 64 + ", color: red}",
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(entry)
    with pytest.raises(SettingsError, match="keys"):
        read_keys_file(path)


@pytest.mark.parametrize("text", ["acme", "acme:", ":key", "acme:one,beta:one"])
def test_a_wrong_setting_is_refused_without_showing_a_secret(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        keys_from_setting(text)
    assert "one" not in str(refused.value).replace("one key", "")


def test_secrets_are_not_kept() -> None:
    ring = KeyRing(keys_from_setting("acme:canary-secret"))
    assert "canary-secret" not in repr(vars(ring))


@pytest.mark.parametrize("compare", [KeyRing.caller, AdminDoor._knows, AdminDoor._is_session])
def test_secrets_are_compared_in_constant_time_alone(compare: Callable[..., object]) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(compare)))
    called = [node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "attr")]
    assert "compare_digest" in called
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Eq)]
