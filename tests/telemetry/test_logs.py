"""Log lines: one object each as JSON, the request's id where there is one, and secrets in neither format."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import SettingsError
from router.settings import read_settings
from router.telemetry.logs import WITHHELD, JsonLines, TextLines, current_request, without_secrets
from router.upstream.standin import StandIn
from tests.security.process import serving, standing
from tests.telemetry.conftest import POLICY

KEY = "sk-proj-Ab3dEf6hIj9lMn2pQr5tUv8x"
ID = "req_" + "0" * 31 + "1"


def formatted(formatter: logging.Formatter, message: str, *values: object, **more: Any) -> str:
    record = logging.LogRecord("router.test", logging.WARNING, __file__, 1, message, values, more.get("exc_info"))
    return formatter.format(record)


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own, and what it wrote as JSON."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    mine = logging.getLogger("tests.telemetry.logs")
    mine.addHandler(handler)
    mine.propagate = False
    yield mine, out
    mine.removeHandler(handler)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_message_becomes_one_object_on_one_line(text: str) -> None:
    line = formatted(JsonLines(), "%s", text)
    assert "\n" not in line and "\r" not in line
    assert set(json.loads(line)) >= {"time", "level", "logger", "message"}


def test_an_exception_stands_in_the_same_object(logger: tuple[logging.Logger, io.StringIO]) -> None:
    mine, out = logger
    try:
        raise ValueError("of some sort")
    except ValueError:
        mine.exception("it broke")
    [line] = out.getvalue().splitlines()
    event = json.loads(line)
    assert (event["level"], event["message"]) == ("error", "it broke")
    assert event["exception"].startswith("Traceback") and event["exception"].endswith("ValueError: of some sort")
    assert "request_id" not in event


def test_the_id_of_the_request_that_is_answered_is_there() -> None:
    token = current_request.set(ID)
    try:
        assert json.loads(formatted(JsonLines(), "something"))["request_id"] == ID
    finally:
        current_request.reset(token)


def test_an_id_that_the_message_names_is_there_too() -> None:
    assert json.loads(formatted(JsonLines(), "outcome %s cannot be written", ID))["request_id"] == ID
    assert "request_id" not in json.loads(formatted(JsonLines(), "outcome req_12 cannot be written"))


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_a_line_with_a_secret_is_withheld_and_its_neighbours_are_not(formatter: logging.Formatter) -> None:
    line = formatted(formatter, "before\nthe key is %s\nafter", KEY)
    assert KEY not in line and WITHHELD in line and "before" in line and "after" in line


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_a_secret_in_an_exception_is_withheld(formatter: logging.Formatter) -> None:
    try:
        raise ConnectionError("cannot connect to postgresql://me:hunter22x@db/ledger")
    except ConnectionError as error:
        line = formatted(formatter, "it broke", exc_info=(type(error), error, error.__traceback__))
    assert "hunter22x" not in line and WITHHELD in line and "it broke" in line


def test_a_secret_over_two_lines_is_withheld_whole() -> None:
    assert "hunter" not in without_secrets("password:\n hunter22x!")


def test_what_holds_no_secret_is_left_as_it_is() -> None:
    text = "policy default@3f9a1c02b7de follows default@000000000000\n\n  next line"
    assert without_secrets(text) == text


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_gateway_logs_as_it_is_told_and_so_does_uvicorn(tmp_path: Path, style: str) -> None:
    small, large = StandIn("small", lambda text: "yes"), StandIn("large", lambda text: "yes")
    with standing(small, large) as (small_url, large_url):
        policy = POLICY.format(small=small_url, large=large_url)
        environment = {"SIGNALBOX_LOG_FORMAT": style, "SIGNALBOX_LOG_LEVEL": "DEBUG"}
        with serving(tmp_path, policy, **environment) as process:
            body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
            assert httpx.post(f"{process.url}/v1/chat/completions", json=body, trust_env=False).status_code == 200
    lines = process.said().splitlines()
    assert len(lines) > 3
    if style == "json":
        events = [json.loads(line) for line in lines]
        assert any(event["logger"] == "uvicorn.error" for event in events)
        assert all(event["message"] for event in events)
    else:
        assert any("INFO uvicorn.error: " in line for line in lines)


@pytest.mark.parametrize("variable", ["log_level", "log_format"])
def test_a_level_or_format_that_is_none_is_refused_by_name(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"SIGNALBOX_{variable.upper()}"):
        read_settings(**{variable: "loud"})
