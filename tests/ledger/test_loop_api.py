"""`/api` of the learning loop: documents that fit their schemas, hold ids and no text, and say what the reports say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from router.api import loop_schemas
from router.ledger.registry import Registry
from router.ledger.store import SqlStore
from router.policy.load import parse_policy

from .outcomes import an_outcome
from .test_control import application
from .test_misroutes import POLICY
from .twice import an_audit, keep

BODIES = {
    "versions": loop_schemas.VersionsBody,
    "quality": loop_schemas.QualityBody,
    "reliability": loop_schemas.ReliabilityBody,
    "misroutes": loop_schemas.MisroutesBody,
    "curve": loop_schemas.CurveBody,
}


@pytest.fixture
async def http(store: SqlStore) -> AsyncIterator[httpx.AsyncClient]:
    app = application(store)
    app.state.gateway = SimpleNamespace(store=store, policy=SimpleNamespace(current=parse_policy(POLICY, env={})))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def get(http: httpx.AsyncClient, name: str, **params: Any) -> dict[str, Any]:
    answer = await http.get(f"/api/{name}", params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    BODIES[name].model_validate(document, strict=True, extra="forbid")
    return document


@pytest.mark.parametrize("name", sorted(BODIES))
async def test_an_empty_ledger_is_answered_with_nothing_rather_than_zeros(http: httpx.AsyncClient, name: str) -> None:
    document = await get(http, name)
    assert "0.0" not in str({key: value for key, value in document.items() if key.endswith(("mean", "quality"))})


async def test_every_report_of_audited_requests_fits_its_schema(http: httpx.AsyncClient, store: SqlStore) -> None:
    text = {"request_text": "a secret question", "response_text": "a secret answer"}
    await keep(store, an_audit(0.1, 0.9, **text), an_audit(0.9, 0.9, served_large=True), an_audit(0.4, 0.5))
    documents = {name: await get(http, name) for name in BODIES}
    assert "secret" not in str(documents)
    assert (documents["misroutes"]["pairs"], documents["curve"]["pairs"]) == (3, 3)
    assert documents["misroutes"]["cheap_and_bad"]["requests"][0]["lost"] == pytest.approx(0.8)
    assert [one["rule"] for one in documents["curve"]["thresholds"]] == ["promise", "tuned"]
    assert documents["quality"]["total"]["audited"]["n"] == 3
    assert sum(one["labelled"]["n"] for one in documents["reliability"]["all"]["bins"]) == 3


async def test_filters_and_the_span_hold(http: httpx.AsyncClient, store: SqlStore) -> None:
    await keep(store, an_audit(0.1, 0.9, task="code"), an_audit(0.1, 0.9, task="chat"))
    await store.write([an_outcome(task="code")])
    assert (await get(http, "quality", task="code", by="rule"))["total"]["requests"] == 2
    assert (await get(http, "misroutes", task="code"))["pairs"] == 1
    assert (await get(http, "curve", task="code"))["pairs"] == 1
    assert (await get(http, "reliability", task="code"))["all"]["n"] == 1
    assert (await get(http, "misroutes", until="1h"))["pairs"] == 0
    assert (await get(http, "misroutes", worse=0.9))["cheap_and_bad"]["wrong_requests"] == 0


async def test_versions_tell_of_retrainings_promotions_and_rollbacks(http: httpx.AsyncClient, store: SqlStore) -> None:
    registry = Registry(store)
    first = await registry.save(b"one", {}, metrics={"passed": True, "reason": "better: -0.02"})
    second = await registry.save(b"two", {}, metrics={"passed": False, "reason": "not better"}, parent=first)
    await registry.promote(first, "ada", reason="the gate said so")
    await registry.promote(second, "eve")
    await registry.rollback("ada", reason="it was worse")
    document = await get(http, "versions")
    told = [(one["kind"], one["sha256"], one["by"], one["passed"], one["reason"]) for one in document["events"]]
    assert told[:3] == [
        ("rolled back", first, "ada", True, "it was worse"),
        ("promoted", second, "eve", False, None),
        ("promoted", first, "ada", True, "the gate said so"),
    ]
    assert {(kind, sha256) for kind, sha256, *_ in told[3:]} == {("retrained", first), ("retrained", second)}
    assert document["current"] == first
    assert [one["gate"] for one in document["events"] if one["sha256"] == second] == ["not better"] * 2
    assert [one["parent"] for one in document["events"] if one["sha256"] == second] == [first] * 2
    await registry.rollback("ada")
    document = await get(http, "versions")
    assert (document["current"], document["events"][0]["sha256"]) == (None, None)
    assert (await get(http, "versions", until="1h"))["events"] == []


async def test_a_canary_is_told_with_its_share(http: httpx.AsyncClient, store: SqlStore) -> None:
    registry = Registry(store)
    sha256 = await registry.save(b"one", {})
    await registry.promote(sha256, "ada", share=0.1)
    document = await get(http, "versions")
    newest = document["events"][0]
    assert (newest["kind"], newest["share"], document["current"]) == ("canary", 0.1, None)
    assert newest["gate"] is None, "an artefact that came without a word of the gate"


@pytest.mark.parametrize(
    "address",
    [
        "quality?by=hour",
        "quality?since=x",
        "curve?until=x",
        "misroutes?worse=2",
        "misroutes?alike=-1",
        "versions?since=y",
    ],
)
async def test_what_makes_no_sense_is_refused(http: httpx.AsyncClient, address: str) -> None:
    assert (await http.get(f"/api/{address}")).status_code in (400, 422)


@pytest.mark.parametrize("name", sorted(BODIES))
async def test_a_lost_database_is_said(name: str) -> None:
    store = SqlStore("postgresql://nobody@127.0.0.1:1/nothing")
    app = application(store)
    app.state.gateway = SimpleNamespace(store=store, policy=SimpleNamespace(current=parse_policy(POLICY, env={})))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get(f"/api/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_away")
    await store.aclose()
