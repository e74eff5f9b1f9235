"""What the pages tell a reader to type is typed, against stand-in models; what is not, is on a list with its reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from router.policy.load import parse_policy
from router.upstream.standin import Fault, StandIn
from tests.clients.asking import CLIENTS
from tests.clients.pages import PAGES, Ledger, PageFailed, models
from tests.clients.recipes import PICKED, RECIPES
from tests.docs.reading import DOCS, ROOT, Block, all_blocks, blocks_of
from tests.docs.running_pages import BlockFailed, Reader
from tests.gateway.conftest import make_house
from tests.running import POLICY
from tests.security.process import Process, serving, standing

QUICKSTART = "docs/quickstart.md"
POLICIES = "docs/policies.md"
DEPLOYMENT = "docs/deployment.md"
LANGCHAIN_RECIPE = "docs/recipes/langchain.md"
FOLLOWED = {
    QUICKSTART,
    POLICIES,
    DEPLOYMENT,
    LANGCHAIN_RECIPE,
    *(f"docs/clients/{name}.md" for name in ("openai-python", "langchain", "litellm")),
}
"""Pages whose blocks are all run here (those on backups in test_backups.py), but for those below."""

BY_MAKE_CLIENTS = {
    *(f"docs/clients/{page}" for page in PAGES.values()),
    *(f"docs/recipes/{page}" for page in RECIPES.values()),
} - FOLLOWED
"""Pages whose blocks `make clients` runs, in environments that this one does not have."""

NOT_RUN = {
    (
        QUICKSTART,
        "make demo ARGS=--exit",
    ): "asks a package index; the demo itself is run by tests/demo/test_demo_run.py",
    (QUICKSTART, "signalbox demo --exit"): "takes half a minute; run by tests/demo/test_demo_run.py",
    (QUICKSTART, "ollama pull qwen2.5:3b"): "fetches gigabytes",
    ("README.md", "make demo"): "the demo is run by tests/demo/test_demo_run.py, the tests are what runs this",
    ("README.md", "make demo ARGS=--exit"): "asks a package index; the start itself is the quickstart's",
    ("README.md", "curl -i http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\"): (
        "is the quickstart's"
    ),
    ("README.md", "from router import Router"): "run by tests/test_docs.py",
    ("docs/telemetry.md", "pip install 'signalbox[otel]'"): (
        "asks a package index; what it installs is run by tests/telemetry/test_traces.py"
    ),
    ("docs/cascades.md", "signalbox policy tune policy.yaml --data outcomes.jsonl.gz --keep-quality 0.95"): (
        "needs outcomes of one's own; the command is run by tests/trial/test_tune.py"
    ),
    ("docs/clients/open-webui.md", "python3.11 -m venv .venv/open-webui"): "a manual run, as its page says",
}
"""Blocks of shell or Python that are run nowhere here, by page and first line, and why."""


@dataclass(frozen=True)
class House:
    """A gateway as the client pages take it for granted, and its ledger."""

    gateway: Process
    ledger: Ledger


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(*models()) as (small, large):
        with serving(tmp_path_factory.mktemp("house"), POLICY.format(small=small, large=large)) as gateway:
            yield House(gateway, Ledger(gateway.url))


def is_run(block: Block) -> bool:
    return (block.page, block.opening) not in NOT_RUN


def test_every_block_of_shell_and_python_is_run_or_on_the_list() -> None:
    lost = [(block.page, block.opening) for block in all_blocks("sh", "bash", "python", "js") if is_run(block)]
    assert {page for page, _ in lost} - FOLLOWED - BY_MAKE_CLIENTS == set()


def test_the_list_names_only_blocks_that_are_there() -> None:
    there = {(block.page, block.opening) for block in all_blocks("sh", "python")}
    assert NOT_RUN.keys() - there == set()


def test_the_quickstart_can_be_followed_from_start_to_end(tmp_path: Path) -> None:
    small = StandIn("qwen2.5:3b", lambda text: f"small says: {text}", also=("qwen2.5:14b",))
    large = StandIn("gpt-4.1-mini", lambda text: f"large says: {text}", also=("gpt-4.1",), api_key="sk-made-up")
    with standing(small, large) as (ollama, openai):
        key = {"OPENAI_API_KEY": "sk-made-up", "OPENAI_BASE_URL": f"{openai}/v1"}
        nowhere, here = {"OLLAMA_HOST": "127.0.0.1:1"}, {"OLLAMA_HOST": ollama}
        by_heading = {"With Ollama": {**here, "OPENAI_API_KEY": ""}}
        env = {**key, **nowhere, "SMALL_URL": f"{ollama}/v1"}
        with Reader(tmp_path, env, by_heading=by_heading) as reader:
            reader.follow([block for block in blocks_of(ROOT / QUICKSTART) if is_run(block)])
            said = reader.said
    assert f"Ollama at {ollama}: qwen2.5:3b, qwen2.5:14b" in said
    assert "OPENAI_API_KEY is set: gpt-4.1-mini, gpt-4.1" in said
    assert "x-signalbox-model: small" in said
    assert "large says: Prove that there is no largest prime." in said
    assert "x-signalbox-rule: research team" in said
    assert '"source":"user","score":1.0' in said
    assert "nothing was learned" in said
    assert "nothing was promoted yet" in said


def test_the_commands_of_the_policy_page_do_what_they_say(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    with Reader(tmp_path, {"ANTHROPIC_API_KEY": "made-up"}) as reader:
        reader.follow([block for block in blocks_of(ROOT / POLICIES) if block.language == "sh"])
    assert json.loads(reader.said[reader.said.index("{\n") :])["decision"]["rule"] == "easy"
    published = (ROOT / "policies" / "policy.schema.json").read_text("utf-8")
    assert (tmp_path / "policies" / "policy.schema.json").read_text("utf-8") == published


def test_the_langchain_recipe_picks_whom_it_says(tmp_path: Path) -> None:
    with Reader(tmp_path, {"SIGNALBOX_CLASSIFIER": "fast"}) as reader:
        reader.follow(list(blocks_of(ROOT / LANGCHAIN_RECIPE)))
        assert [said for said in PICKED["langchain.md"] if said not in reader.said] == []


@pytest.mark.parametrize("page", ["openai-python.md", "langchain.md", "litellm.md"])
def test_a_clients_page_does_what_it_says(page: str, house: House, tmp_path: Path) -> None:
    with Reader(tmp_path, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}, url=house.gateway.url) as reader:
        reader.follow(list(blocks_of(DOCS / "clients" / page)))
    house.ledger.check(page)


def test_a_page_that_does_not_do_what_it_says_is_noticed(house: House, tmp_path: Path) -> None:
    with Reader(tmp_path, {}, url=house.gateway.url) as reader:
        with pytest.raises(BlockFailed, match="ended with 22"):
            reader.follow([Block("page", "sh", f"curl -sSf {house.gateway.url}/v1/nowhere", "")])
    with pytest.raises(PageFailed, match="none of 0 requests"):
        house.ledger.check("page")


def test_every_client_has_a_page_that_says_where_it_is_and_names_a_route() -> None:
    assert set(PAGES) == set(CLIENTS) - {"raw_http"}
    index = (DOCS / "clients" / "README.md").read_text("utf-8")
    for page in (DOCS / "clients").glob("*.md"):
        text = page.read_text("utf-8")
        assert "http://127.0.0.1:8080/v1" in text, page.name
        if page.name != "README.md":
            assert f"({page.name})" in index
            assert "**A route**" in text, page.name
            assert "**Limits:**" in text, page.name


async def test_a_client_does_not_multiply_the_gateways_attempts(tmp_path: Path) -> None:
    async with make_house(tmp_path) as house:
        for model in (house.small, house.large):
            model.script.append(Fault("status", 500))
        async with openai.AsyncOpenAI(base_url=f"{house.gateway.url}/v1", api_key="any", max_retries=3) as client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
        assert [len(model.journal) for model in (house.small, house.large)] == [1, 1]


def test_every_policy_in_the_docs_loads() -> None:
    policies = [block for block in all_blocks("yaml") if re.search(r"^version: 1$", block.text, re.MULTILINE)]
    assert len(policies) >= 2
    env = {"ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}
    for block in policies:
        assert parse_policy(block.text, env=env).routes, block.page
