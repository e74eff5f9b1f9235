"""A gateway with a route that selects by likeness and one where a model reads the options, before stand-in models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from router.upstream.standin import Reply, StandIn
from tests.running import Running, running
from tests.selection.desk import CODE, STAFF

POLICY = """
version: 1
models:
  reader: {{tier: small, model: standin-reader, base_url: "{reader}/v1", private: {private}, retries: 0, supports: {supports}, timeouts: {{total: 30s}}, price: {{input: 1, output: 2}}}}
  expert: {{tier: large, model: standin-expert, base_url: "{expert}/v1", retries: 0, price: {{input: 3, output: 15}}}}
  clerk: {{tier: small, model: standin-clerk, base_url: "{clerk}/v1", private: true, retries: 0, price: {{input: 0.1, output: 0.2}}}}
options:
  code: {{use: expert, description: "{code.description}", examples: {code_examples}, tags: [dev]}}
  staff: {{use: clerk, description: "{staff.description}", examples: {staff_examples}}}
default: clerk
routes:
  auto:
    baseline: expert
    rules:
      - {{name: by topic, select: {{by: embedding}}}}
  read:
    baseline: expert
    rules:
      - {{name: by reading, select: {{by: model, model: reader}}}}
  two:
    rules:
      - {{name: two sources, select: {{by: embedding, top: 2, threshold: 0.4, combine: fuse, judge: reader}}}}
  likeness first:
    rules:
      - {{name: by topic, select: {{by: embedding, threshold: 0.9}}}}
      - {{name: by reading, select: {{by: model, model: reader}}}}
""".replace("likeness first", "both")  # noqa: E501


@dataclass(frozen=True)
class Desk:
    """The gateway, and the models behind it. reader: reads the options."""

    gateway: Running
    reader: StandIn
    expert: StandIn
    clerk: StandIn


def policy_text(reader: str, expert: str, clerk: str, *, supports: str = "[tools]", private: str = "true") -> str:
    examples = [str(list(option.examples)).replace("'", '"') for option in (CODE, STAFF)]
    return POLICY.format(
        reader=reader,
        expert=expert,
        clerk=clerk,
        supports=supports,
        private=private,
        code=CODE,
        staff=STAFF,
        code_examples=examples[0],
        staff_examples=examples[1],
    )


@asynccontextmanager
async def make_desk(
    folder: Path, reads: Callable[[str], Reply | str], *, supports: str = "[tools]", private: str = "true"
) -> AsyncIterator[Desk]:
    """reads: what the reader answers to the request that it is shown."""
    reader, expert, clerk = (
        StandIn("reader", reads),
        StandIn("expert", lambda text: f"expert: {text}"),
        StandIn("clerk", lambda text: f"clerk: {text}"),
    )
    async with reader.serve() as one, expert.serve() as two, clerk.serve() as three:
        async with running(folder, policy_text(one, two, three, supports=supports, private=private)) as gateway:
            yield Desk(gateway, reader, expert, clerk)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """One whose reader picks `code` for whatever it is shown."""
    async with make_desk(tmp_path, lambda _: '{"options": ["code"]}') as made:
        yield made
