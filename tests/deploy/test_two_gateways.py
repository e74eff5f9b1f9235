"""The services of the compose file, as processes: two gateways share a Redis and a PostgreSQL, and learn together."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from router.upstream.standin import StandIn
from tests.servers import PostgresServer

from .compose import NEEDED
from .stack import Process, Stack, running_stack, wait_ready

TENANT_KEY = NEEDED["SIGNALBOX_API_KEYS"].split(":")[1]
CALLER = {"authorization": f"Bearer {TENANT_KEY}"}
ADMIN = {"authorization": f"Bearer {NEEDED['SIGNALBOX_ADMIN_KEY']}"}
LABELLED = 150
HTTP = httpx.Client(timeout=30)


class Models:
    """The stand-in behind a thread of its own, since the tests here are plain functions."""

    def __init__(self) -> None:
        self.standin = StandIn("standin", lambda question: f"You asked: {question}")
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._listens, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    async def _serve(self) -> None:
        async with self.standin.serve() as url:
            self.url = url
            self._listens.set()
            await self._stop.wait()

    def __enter__(self) -> Models:
        self._thread.start()
        self._listens.wait()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module", autouse=True)
def _client_ends() -> Iterator[None]:
    yield
    HTTP.close()


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with Models() as models:
        yield models


@pytest.fixture(scope="module")
def stack(models: Models, postgres_server: PostgresServer) -> Iterator[Stack]:
    with running_stack(postgres_server, models.url) as stack:
        yield stack


@pytest.fixture(scope="module")
def gateways(stack: Stack) -> Iterator[tuple[Process, Process]]:
    with stack.run("gateway", "one") as one, stack.run("gateway", "other") as other:
        wait_ready(one)
        wait_ready(other)
        yield one, other


def ask(gateway: Process, question: str) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": question}]}
    answer = HTTP.post(f"{gateway.url}/v1/chat/completions", json=body, headers=CALLER)
    assert answer.status_code == 200, answer.text
    return answer


def rows_of(gateway: Process) -> int:
    found = HTTP.get(f"{gateway.url}/api/requests", params={"since": "1h", "limit": 1}, headers=ADMIN)
    assert found.status_code == 200, found.text
    return int(found.json()["total"])


def counted(gateway: Process, metric: str) -> int:
    """The sum of a counter over all its labels."""
    text = HTTP.get(f"{gateway.url}/metrics", headers=ADMIN).text
    return sum(round(float(count)) for count in re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)", text, re.M))


def until(holds: Callable[[], Any], why: Callable[[], str] = str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, f"it never came to hold: {why()}"
        time.sleep(0.1)
    return value


def test_both_gateways_say_that_redis_and_database_are_well(gateways: tuple[Process, Process]) -> None:
    for gateway in gateways:
        said = wait_ready(gateway)
        assert (said["redis"], said["database"]) == ("ok", "ok")
        assert said["policy"].startswith("default@")


def test_the_model_is_the_one_that_the_pull_service_fetches(gateways: tuple[Process, Process], models: Models) -> None:
    answer = ask(gateways[0], "Say hello")
    assert answer.headers["x-signalbox-model"] == "small"
    assert answer.json()["model"] == "qwen2.5:3b"


def test_what_one_gateway_stored_the_other_serves(gateways: tuple[Process, Process], models: Models) -> None:
    one, other = gateways
    first = ask(one, "What is the capital of France?")
    calls = len(models.standin.journal)
    assert first.headers["x-signalbox-cache"] == "miss"
    time.sleep(0.2)  # entries are written behind the answer
    second = ask(other, "What is the capital of France?")
    assert second.headers["x-signalbox-cache"] == "hit"
    assert second.content == first.content
    assert len(models.standin.journal) == calls


@pytest.mark.parametrize(("model", "question"), [("small", "hi there"), ("large", "Prove that every even number")])
def test_streamed_and_plain_answers_serve_each_other_over_both_gateways(
    gateways: tuple[Process, Process], model: str, question: str
) -> None:
    def clients() -> tuple[openai.OpenAI, ...]:
        return tuple(openai.OpenAI(api_key=TENANT_KEY, base_url=f"{gateway.url}/v1") for gateway in gateways)

    def asked(words: str) -> Any:
        return {"model": "auto", "messages": [{"role": "user", "content": f"{question} {words}"}]}

    with clients()[0] as one, clients()[1] as other:
        said = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in one.chat.completions.create(stream=True, **asked("streamed first"))
            if chunk.choices
        )
        time.sleep(0.2)
        plain = other.chat.completions.with_raw_response.create(**asked("streamed first"))
        assert (plain.headers["x-signalbox-cache"], plain.headers["x-signalbox-model"]) == ("hit", model)
        assert plain.parse().choices[0].message.content == said
        assert plain.parse().usage is not None

        first = one.chat.completions.create(**asked("plain first"))
        time.sleep(0.2)
        stream = other.chat.completions.with_raw_response.create(
            stream=True, stream_options={"include_usage": True}, **asked("plain first")
        )
        assert stream.headers["x-signalbox-cache"] == "hit"
        chunks = list(stream.parse())
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == first.choices[0].message.content
        )
        assert chunks[-1].usage == first.usage


def test_a_key_that_is_not_in_the_environment_is_refused(gateways: tuple[Process, Process]) -> None:
    for gateway in gateways:
        assert HTTP.get(f"{gateway.url}/v1/models", headers={"authorization": "Bearer no"}).status_code == 401
        assert HTTP.get(f"{gateway.url}/api/requests", headers=CALLER).status_code in (401, 403)


def test_a_promotion_reaches_every_gateway_and_so_does_its_undoing(
    gateways: tuple[Process, Process], stack: Stack
) -> None:
    before = wait_ready(gateways[0])["classifier"]
    for number in range(LABELLED):
        gateway = gateways[number % 2]
        answer = ask(gateway, f"Question {number}: {'say hi' if number % 3 else 'prove that the sum converges'}")
        label = {"request_id": answer.headers["x-request-id"], "score": 1.0 if number % 3 else 0.0}
        assert HTTP.post(f"{gateway.url}/v1/feedback", json=label, headers=CALLER).status_code == 202
    with stack.run("retrain") as job:
        found = until(lambda: re.search(r"artefact ([0-9a-f]{64})", job.said()), job.said)
        assert job.popen.poll() is None, "the job ended instead of waiting for its next round"
    if "not promoted" in job.said():
        stack.once("promote", found[1])
    for gateway in gateways:
        until(lambda gateway=gateway: wait_ready(gateway)["classifier"] != before)
    assert wait_ready(gateways[0])["classifier"] == wait_ready(gateways[1])["classifier"]
    stack.once("rollback")
    for gateway in gateways:
        until(lambda gateway=gateway: wait_ready(gateway)["classifier"] == before)


def test_the_watch_looks_after_the_judges_of_both(stack: Stack, gateways: tuple[Process, Process]) -> None:
    with stack.run("watch") as job:
        until(lambda: "are looked after" in job.said(), job.said)
        assert job.popen.poll() is None, "the watch ended instead of looking again"
    assert job.popen.returncode == 0 and "Traceback" not in job.said()


def test_every_request_that_was_accepted_is_a_row_or_a_counted_drop(gateways: tuple[Process, Process]) -> None:
    def over_both(metric: str) -> int:
        return sum(counted(gateway, metric) for gateway in gateways)

    def settled() -> int:
        return rows_of(gateways[0]) + over_both("signalbox_ledger_dropped_total")

    before = over_both("signalbox_requests_total")
    for number in range(40):
        ask(gateways[number % 2], f"Count me, number {number // 2}")  # every second one is a repeat
    accepted = over_both("signalbox_requests_total")
    assert accepted == before + 40
    until(lambda: settled() >= accepted)
    time.sleep(1)
    assert settled() == accepted
    assert rows_of(gateways[0]) == rows_of(gateways[1])


def test_without_redis_both_gateways_answer_on_and_use_it_when_it_is_back(
    gateways: tuple[Process, Process], stack: Stack
) -> None:
    def redis_is(state: str) -> bool:
        return all(HTTP.get(f"{gateway.url}/readyz").json()["redis"] == state for gateway in gateways)

    stack.redis.pause()
    try:
        for number in range(10):
            assert ask(gateways[number % 2], "Anybody there?").headers["x-signalbox-cache"] != "hit"
        assert redis_is("degraded")
    finally:
        stack.redis.resume()
    until(lambda: redis_is("ok"))
    ask(gateways[0], "Back again?")
    until(lambda: ask(gateways[1], "Back again?").headers["x-signalbox-cache"] == "hit")
