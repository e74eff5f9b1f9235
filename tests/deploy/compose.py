"""Reads docker-compose.yml as Compose would, and turns a service into a process that runs without Docker.

Only what our file uses: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$`, merge keys, and variables passed through.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<word>[^}]*))?\}")

NEEDED = {
    "POSTGRES_PASSWORD": "pw4test",
    "SIGNALBOX_API_KEYS": "acme:sk-test-acme",
    "SIGNALBOX_ADMIN_KEY": "admin-test-key",
    "ANTHROPIC_API_KEY": "sk-ant-test",
}
"""What the head of the file tells its reader to export."""


class VariableMissing(Exception):
    """A `${VAR:?message}` whose variable is not set; Compose stops with just this message."""


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """One string with its variables filled in."""

    def fill(match: re.Match[str]) -> str:
        name, how, word = match["name"], match["how"], match["word"]
        if name is None:
            return "$"
        value = environment.get(name, "")
        if value or how is None:
            return value
        if how == "?":
            raise VariableMissing(f"{name}: {word}")
        return word

    return _VARIABLE.sub(fill, text)


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return interpolate(value, environment)
    if isinstance(value, dict):
        return {name: _filled(inner, environment) for name, inner in value.items()}
    return [_filled(inner, environment) for inner in value] if isinstance(value, list) else value


def read_raw() -> dict[str, Any]:
    """The file as it is written."""
    return dict(YAML(typ="safe").load(COMPOSE_FILE.read_text("utf-8")))


def read_services(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The services with every variable filled in; variables passed through are there only where they are set."""
    services: dict[str, dict[str, Any]] = _filled(read_raw()["services"], environment)
    for service in services.values():
        written = service.get("environment") or {}
        service["environment"] = {
            name: str(environment[name] if value is None else value)
            for name, value in written.items()
            if value is not None or name in environment
        }
    return services


def dockerfile_lines() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined."""
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in pairs]


@dataclass(frozen=True)
class Command:
    """What to run, and with which environment on top of PATH."""

    arguments: list[str]
    environment: dict[str, str]


def as_process(service: Mapping[str, Any], image: Mapping[str, Any], instead: Mapping[str, str]) -> Command:
    """A service's own command and environment, with each text of `instead` exchanged wherever it stands.

    image: `entrypoint`, `command` and `environment` that the image gives where the service has none.
    """
    entrypoint = service.get("entrypoint") or image["entrypoint"]
    arguments = [*_words(entrypoint), *_words(service.get("command") or image["command"])]
    environment = {**image["environment"], **service["environment"]}

    def changed(text: str) -> str:
        for before, after in instead.items():
            text = text.replace(before, after)
        return text

    return Command([changed(word) for word in arguments], {name: changed(value) for name, value in environment.items()})


def _words(command: Any) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else list(command)
