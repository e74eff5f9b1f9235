"""`/openapi.json` against the running gateway: whatever is sent, no 500, and no answer that the document does not know.

schemathesis makes the requests, right and wrong ones. That every request it holds for right is taken is not asked:
`stream_options` needs `stream`, and `until` a time after `since`, which schemas cannot say plainly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from router.upstream.standin import StandIn
from tests.running import POLICY
from tests.security.process import Process, serving, standing

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPERATIONS = [
    "GET /api/costs",
    "GET /api/curve",
    "GET /api/drift",
    "GET /api/export/costs",
    "GET /api/export/requests",
    "GET /api/labels",
    "GET /api/limits",
    "GET /api/misroutes",
    "GET /api/quality",
    "GET /api/reliability",
    "GET /api/requests",
    "GET /api/requests/{request_id}",
    "GET /api/risk",
    "GET /api/shadow",
    "GET /api/summary",
    "GET /api/tail",
    "GET /api/versions",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/decisions/{request_id}",
    "GET /v1/models",
    "GET /v1/models/{name}",
    "POST /v1/chat/completions",
    "POST /v1/feedback",
    "POST /v1/route",
]

WITHOUT_PARAMETERS = "GET /api/risk"
CAN_BE_WRONG = [
    *(label for label in OPERATIONS if "/api/" in label and "{" not in label and label != WITHOUT_PARAMETERS),
    *OPERATIONS[-3:],
]
"""Those that take more than a name: any text is one."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """With an API key and an admin key, so that both kinds of refusal can be seen."""
    model = StandIn("m", lambda text: "fine")
    with standing(model) as [url]:
        keys = {"SIGNALBOX_API_KEYS": "acme:one", "SIGNALBOX_ADMIN_KEY": "boss"}
        with serving(tmp_path_factory.mktemp("openapi"), POLICY.format(small=url, large=url), **keys) as process:
            yield process


@pytest.fixture(scope="module")
def described(gateway: Process) -> dict[str, Any]:
    """Operations by name."""
    schema = schemathesis.openapi.from_url(
        f"{gateway.url}/openapi.json", headers={"authorization": "Bearer boss"}, wait_for_schema=5
    )
    return {operation.label: operation for operation in (result.ok() for result in schema.get_all_operations())}


def test_every_operation_is_tried(described: dict[str, Any]) -> None:
    assert sorted(described) == OPERATIONS


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        *((label, schemathesis.GenerationMode.POSITIVE) for label in OPERATIONS),
        *((label, schemathesis.GenerationMode.NEGATIVE) for label in CAN_BE_WRONG),
    ],
)
def test_answers_are_as_described(described: dict[str, Any], label: str, mode: Any) -> None:
    operation = described[label]
    key = "one" if " /v1" in label else "boss"
    checks = [*CHECKS, negative_data_rejection] if label == "POST /v1/feedback" else CHECKS
    keys = [key, "wrong"]
    with requests.Session() as session:
        session.trust_env = False

        @hypothesis.settings(
            max_examples=20, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def try_one(case: Any) -> None:
            for sent in keys:
                case.call_and_validate(
                    session=session, headers={"authorization": f"Bearer {sent}"}, checks=checks, timeout=10
                )
            keys[:] = [key, "wrong"] if key == "one" else [key]  # wrong admin keys are answered late: once will do

        try_one()


def test_what_was_asked_can_be_read_as_described(gateway: Process, described: dict[str, Any]) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    for sent in (body, {**body, "model": "nobody"}, {**body, "model": "large"}):
        answer = requests.post(
            f"{gateway.url}/v1/chat/completions", json=sent, headers={"authorization": "Bearer one"}, timeout=10
        )
        for label, key in (("GET /v1/decisions/{request_id}", "one"), ("GET /api/requests/{request_id}", "boss")):
            case = described[label].Case(path_parameters={"request_id": answer.headers["x-request-id"]})
            response = case.call(headers={"authorization": f"Bearer {key}"}, timeout=10)
            for _ in range(100):
                if response.status_code == 200:
                    break
                response = case.call(headers={"authorization": f"Bearer {key}"}, timeout=10)
            assert response.status_code == 200, response.text
            case.validate_response(response, checks=CHECKS)
