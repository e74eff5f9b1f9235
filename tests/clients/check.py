"""Checks the recorder itself before anything is measured with it: `python -m tests.clients.check`, about a second.

A recorder that saw nothing would find no difference, so a changed answer, a changed request and a lost one must show.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx

from tests.clients import laws
from tests.clients.replay import ASKED_BY, Replay
from tests.clients.scenarios import SCENARIOS
from tests.clients.wire import Exchange, Message, Wire

_BODY = {"model": "auto", "messages": [{"role": "user", "content": "?"}]}


async def check() -> None:
    """Raises AssertionError where the recorder does not record, or the laws do not notice."""
    exchanges = await _recorded()
    assert len(exchanges) == sum(bool(answer.plain) + 2 * bool(answer.choices) for answer in SCENARIOS.values())
    for seen in exchanges:
        assert seen.request.whole and seen.answer.whole
        assert not list(laws.faults_of_answer(seen, SCENARIOS)), seen.request.body
        _notices(seen)
    words, counted = (SCENARIOS["words"].stream(usage=usage) for usage in (False, True))
    assert b"".join(words) != b"".join(counted)
    assert any(not _decodes(piece) for piece in SCENARIOS["split-letters"].stream(usage=False)), "no letter is split"


def _notices(seen: Exchange) -> None:
    """Each kind of damage has to be a fault."""
    body = seen.answer.body
    for damaged in (body[:-1], body + b"\n", body.replace(b"o", b"0", 1), b""):
        other = replace(seen, answer=replace(seen.answer, body=damaged))
        assert list(laws.faults_of_answer(other, SCENARIOS)), "a changed answer was not noticed"
    sent = seen.request.body
    arrived = laws.expected_request(sent, "other")
    for damaged in (sent, arrived[:-1], json.dumps(json.loads(arrived), indent=1).encode()):
        far = Exchange(Message(body=damaged, headers={"authorization": "Bearer k"}), Message())
        assert list(laws.faults_of_relay(seen, far, model="other", key="k")), "a changed request was not noticed"
    far = Exchange(Message(body=arrived, headers={"authorization": "Bearer k"}), Message())
    assert not list(laws.faults_of_relay(seen, far, model="other", key="k"))
    assert list(laws.faults_of_relay(seen, None, model="other", key="k"))


async def _recorded() -> list[Exchange]:
    """Every answer in every way, straight from the replaying upstream over one kept connection."""
    async with Replay(SCENARIOS).serve() as address:
        wire = Wire(*address)
        async with wire.serve() as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
            for name, answer in SCENARIOS.items():
                asked = {**_BODY, "messages": [{"role": "user", "content": ASKED_BY.format(name)}]}
                ways = [{}] if answer.plain else []
                if answer.choices:
                    ways += [{"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}]
                for way in ways:
                    await client.post("/v1/chat/completions", json={**asked, **way})
        return wire.exchanges()


def _decodes(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    asyncio.run(check())
    print("the recorder records")
