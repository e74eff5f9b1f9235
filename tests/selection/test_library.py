"""Selecting without a server: `Router.select(messages, k=2)`, `options`, and the same from a running event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router import Router
from router.cli.policy import app
from router.errors import BadRequest, PolicyRefusal
from router.upstream.standin import StandIn
from tests.policy.making import MODELS
from tests.selection.conftest import policy_text
from tests.selection.test_selecting import CODE, NEITHER, PRIVATE, STAFF

AWAY = ("http://127.0.0.1:9/r", "http://127.0.0.1:9/e", "http://127.0.0.1:9/c")


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Router:
    """One whose models are all away."""
    return loaded(tmp_path_factory.mktemp("library"), *AWAY)


def loaded(folder: Path, *urls: str) -> Router:
    path = folder / "policy.yaml"
    path.write_text(policy_text(*urls), "utf-8")
    return Router.load(path, env={})


@contextmanager
def reading(says: str) -> Iterator[tuple[str, StandIn]]:
    """A reader in a thread of its own, and its address."""
    model, loop, here, over = StandIn("reader", lambda _: says), asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        async with model.serve() as url:
            over.append((url, stop := asyncio.Event()))
            here.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert here.wait(10)
    [(url, stop)] = over
    try:
        yield url, model
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_without_k_it_decides_as_the_gateway_does(router: Router) -> None:
    assert (router.select(CODE).model, router.select(CODE).options) == ("expert", ("code",))
    assert router.select(NEITHER).rule == "default"


def test_with_k_the_decision_names_so_many_options(router: Router) -> None:
    both = "how many days of leave do I have while my python loop never ends"
    assert set(router.select(both, k=2).options) == {"code", "staff"}
    assert len(router.select(both, k=1).options) == 1
    assert router.select(CODE, k=2).model == router.select(CODE).model == "expert"
    assert router.select(NEITHER, k=2).options == ()


def test_options_come_with_scores_the_best_first(router: Router) -> None:
    (name, score), *_ = router.options(STAFF)
    assert name == "staff" and 0.5 <= score <= 1.0
    assert [name for name, _ in router.options([{"role": "user", "content": CODE}], k=1)] == ["code"]
    scores = [score for _, score in router.options("leave, pay and code in any language")]
    assert scores == sorted(scores, reverse=True)


def test_options_that_may_not_serve_are_left_out(router: Router) -> None:
    assert "code" not in dict(router.options(f"{PRIVATE}, and {CODE}"))


def test_a_model_named_outright_may_be_asked_about_all_options(router: Router) -> None:
    assert [name for name, _ in router.options(CODE, model="expert")] == ["code"]


def test_bad_input_is_refused_in_words(router: Router) -> None:
    with pytest.raises(BadRequest, match="1 or more"):
        router.select(CODE, k=0)
    with pytest.raises(BadRequest, match="no message"):
        router.options([])


def test_a_policy_without_options_has_nothing_to_pick_from(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"{MODELS}routes: {{auto: {{}}}}\n", "utf-8")
    router = Router.load(path, env={})
    with pytest.raises(BadRequest, match="no `options`"):
        router.select("hi", k=2)
    assert router.select("hi").options == ()


def test_a_model_reads_the_options_for_the_library_too(tmp_path: Path) -> None:
    with reading('{"options": ["staff", "code"]}') as (url, model):
        router = loaded(tmp_path, url, *AWAY[1:])
        assert router.select(CODE, model="read").options == ("staff",)
        assert [name for name, _ in router.options(CODE, k=2, model="read")] == ["staff", "code"]
        assert len(model.journal) == 2


def test_a_reader_that_is_away_abstains(router: Router) -> None:
    assert router.select(CODE, model="read").rule == "default"


async def test_an_event_loop_is_not_held_up(tmp_path: Path) -> None:
    with reading('{"options": ["staff"]}') as (url, _):
        router = loaded(tmp_path, url, *AWAY[1:])
        assert (await router.aselect(CODE, model="read")).options == ("staff",)
        assert (await router.aselect(CODE, k=1)).options == ("code",)
        assert router.select(CODE).model == "expert", "likeness waits for nothing"
        with pytest.raises(RuntimeError, match="aselect"):
            router.select(CODE, model="read")


def test_explaining_says_whom_it_would_ask_and_asks_nobody(router: Router) -> None:
    told = router.explain(STAFF, model="read")
    assert "would ask reader to choose" in told["rules"][0]["why"]
    assert router.explain(STAFF)["decision"]["options"] == ["staff"]


def test_the_command_explains_a_selection(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(policy_text(*AWAY), "utf-8")
    ran = CliRunner().invoke(app, ["explain", str(path), "--ask", CODE])
    assert ran.exit_code == 0, ran.output
    assert "rule      * by topic: always; selected code 0." in ran.stdout
    ran = CliRunner().invoke(app, ["explain", str(path), "--ask", CODE, "--model", "read"])
    assert "would ask reader to choose" in ran.stdout


def test_threads_may_share_one(router: Router) -> None:
    fresh, found = Router(router.policy), []
    threads = [threading.Thread(target=lambda: found.append(fresh.select(CODE).options)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [("code",)] * 8


def test_nobody_who_may_serve_is_a_refusal_here_as_there(router: Router) -> None:
    with pytest.raises(PolicyRefusal):
        router.select(PRIVATE, model="expert")
