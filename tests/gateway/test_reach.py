"""How one model is reached: what is asked again, what is written down, and what counts against the model."""

from __future__ import annotations

import pytest

from router.body import parse_body
from router.domain import Decision, ModelSpec
from router.errors import UpstreamBroken, UpstreamClosed, UpstreamError, UpstreamUnreachable
from router.plans.contract import Work
from router.plans.reach import Reach
from router.upstream.answers import WholeAnswer
from router.upstream.contract import Answer, Call
from router.upstream.health import FAILURES_IN_A_ROW, Health


class Scripted:
    """An upstream that fails as it is told, then answers."""

    def __init__(self, *errors: UpstreamError):
        self.errors, self.calls = list(errors), 0

    async def open(self, call: Call) -> Answer:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return WholeAnswer(200, {}, b'{"choices":[]}')

    async def aclose(self) -> None:
        return None


CLOSED = UpstreamClosed("closed")


async def reached(
    health: Health, *errors: UpstreamError, retries: int = 0
) -> tuple[Scripted, Work, UpstreamError | None]:
    """What came of reaching a model whose upstream fails so."""
    upstream, model = Scripted(*errors), ModelSpec("m", "small", "m", retries=retries)
    body = parse_body(b'{"model":"auto","messages":[]}')
    work = Work("req_1", body, False, {}, Decision("single", "m", "default"), {"m": model})
    try:
        await Reach({"openai": upstream}, health).open(model, work)
    except UpstreamError as error:
        return upstream, work, error
    return upstream, work, None


async def test_a_closed_connection_is_asked_past_once_and_written_down() -> None:
    upstream, work, error = await reached(Health(), CLOSED)
    assert (upstream.calls, [attempt.error for attempt in work.failed], error) == (2, [CLOSED], None)
    upstream, work, error = await reached(Health(), CLOSED, CLOSED)
    assert (upstream.calls, len(work.failed), error) == (2, 2, CLOSED)


async def test_a_closed_connection_takes_no_retry_away() -> None:
    upstream, work, error = await reached(Health(), CLOSED, UpstreamBroken("5xx"), retries=1)
    assert (upstream.calls, len(work.failed), error) == (3, 2, None)


@pytest.mark.parametrize(("error", "trouble"), [(CLOSED, False), (UpstreamUnreachable("away"), True)])
async def test_closed_connections_say_nothing_of_a_models_health(error: UpstreamError, trouble: bool) -> None:
    health = Health()
    for _ in range(FAILURES_IN_A_ROW):
        await reached(health, error, error)
    assert bool(health.unavailable()) == trouble
