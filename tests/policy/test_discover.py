"""A policy is built from what is found, can be saved and used, and holds no secret."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import pytest

from router.errors import SettingsError
from router.policy.discover import discover
from router.policy.load import parse_policy
from router.policy.review import review

TAGS = {
    "models": [
        {"name": "nomic-embed-text:latest", "details": {"parameter_size": "137M"}},
        {"name": "llama3.1:70b", "details": {"parameter_size": "70.6B"}},
        {"name": "qwen2.5:3b", "details": {"parameter_size": "3.1B"}},
        {"name": "gemma:7b"},
        {"name": 'evil", price: {input: 9}', "details": None},
    ]
}


def probing(answers: Mapping[str, Any], asked: list[str] | None = None):
    def probe(url: str, _headers: Mapping[str, str]) -> Any:
        if asked is not None:
            asked.append(url)
        return next((answer for end, answer in answers.items() if url.endswith(end)), None)

    return probe


OLLAMA = probing({"/api/tags": TAGS})
NOTHING = probing({})


@pytest.mark.parametrize(
    ("env", "probe", "models"),
    [
        ({"OPENAI_API_KEY": "hush"}, NOTHING, {"small": "gpt-4.1-mini", "large": "gpt-4.1"}),
        (
            {"ANTHROPIC_API_KEY": "hush"},
            NOTHING,
            {"small": "anthropic/claude-haiku-4-5", "large": "anthropic/claude-sonnet-4-6"},
        ),
        ({}, OLLAMA, {"small": "qwen2.5:3b", "large": "llama3.1:70b"}),
        ({"OPENAI_API_KEY": "hush"}, OLLAMA, {"small": "gemma:7b", "openai-small": "gpt-4.1-mini", "large": "gpt-4.1"}),
    ],
)
def test_a_small_and_a_large_model_are_picked(env: dict[str, str], probe, models: dict[str, str]) -> None:
    found = discover(env, probe)
    policy = parse_policy(found.text, env=env)
    assert {name: model.model for name, model in policy.models.items()} == models
    assert policy.models["small"].tier == "small" and policy.models["large"].tier == "large"
    assert policy.routes["auto"].baseline == "large" and policy.routes["auto"].cache is not None
    assert "hush" not in found.text and all("hush" not in line for line in found.found)
    assert review(policy).findings == ()


def test_all_that_is_found_goes_in_and_private_asks_stay_local() -> None:
    env = {"OPENAI_API_KEY": "hush", "ANTHROPIC_API_KEY": "hush"}
    found = discover(env, OLLAMA)
    policy = parse_policy(found.text, env=env)
    assert set(policy.models) == {"small", "openai-small", "openai-large", "anthropic-small", "large"}
    assert [name for name, model in policy.models.items() if model.private] == ["small"]
    assert policy.routes["auto"].privacy == "enforce"
    assert len(found.found) == 3 and found.found[0].startswith("Ollama at http://127.0.0.1:11434")


def test_one_local_model_makes_a_policy_of_one() -> None:
    found = discover({}, probing({"/api/tags": {"models": [{"name": "phi4"}]}}))
    policy = parse_policy(found.text, env={})
    assert list(policy.models) == ["small"] and policy.routes["auto"].rules == ()


def test_remote_models_only_means_that_private_asks_are_observed_and_the_text_says_so() -> None:
    found = discover({"OPENAI_API_KEY": "hush"}, NOTHING)
    assert "privacy: observe  #" in found.text
    assert parse_policy(found.text, env={"OPENAI_API_KEY": "hush"}).routes["auto"].privacy == "observe"


def test_the_base_url_of_openai_is_followed_and_its_models_are_used_where_it_lists_others() -> None:
    env = {"OPENAI_API_KEY": "hush", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    listed = {"data": [{"id": "vicuna-13b"}, {"id": "tiny-1b"}, {"id": "embed-small"}, {"id": 3}]}
    policy = parse_policy(discover(env, probing({"/v1/models": listed})).text, env=env)
    assert (policy.models["small"].model, policy.models["large"].model) == ("tiny-1b", "vicuna-13b")
    assert policy.models["small"].base_url == "http://127.0.0.1:9/v1"
    policy = parse_policy(discover(env, NOTHING).text, env=env)
    assert policy.models["small"].model == "gpt-4.1-mini"


def test_openai_itself_is_not_asked() -> None:
    asked: list[str] = []
    discover({"OPENAI_API_KEY": "hush"}, probing({}, asked))
    assert asked == ["http://127.0.0.1:11434/api/tags"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://gpu.example:80", "http://gpu.example:80"),
        ("https://gpu.example", "https://gpu.example:443"),
        ("[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_ollama_is_looked_for_where_its_own_variable_says(host: str, url: str) -> None:
    asked: list[str] = []
    with pytest.raises(SettingsError):
        discover({"OLLAMA_HOST": host}, probing({}, asked))
    assert asked == [f"{url}/api/tags"]


def test_an_ollama_elsewhere_is_not_taken_for_private() -> None:
    policy = parse_policy(discover({"OLLAMA_HOST": "http://gpu.example:11434"}, OLLAMA).text, env={})
    assert not any(model.private for model in policy.models.values())


def test_nothing_found_is_refused_with_what_to_do() -> None:
    with pytest.raises(SettingsError) as error:
        discover({}, NOTHING)
    for word in ("ollama pull", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "--policy", "signalbox demo"):
        assert word in str(error.value)


@pytest.mark.parametrize("answer", [[], {"models": None}, {"models": [1, {"name": 2}]}, "text", 3])
def test_odd_answers_count_as_nothing(answer: Any) -> None:
    with pytest.raises(SettingsError):
        discover({}, probing({"/api/tags": answer}))


class Listing(BaseHTTPRequestHandler):
    """A little Ollama: it lists its models."""

    def do_GET(self) -> None:
        body = orjson.dumps(TAGS)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_real_server_is_found_over_http_and_a_closed_port_is_not() -> None:
    server = HTTPServer(("127.0.0.1", 0), Listing)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    env = {"OLLAMA_HOST": f"127.0.0.1:{server.server_port}", "HTTP_PROXY": "http://127.0.0.1:1"}
    try:
        assert "qwen2.5:3b" in discover(env).text
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(SettingsError):
        discover(env)
