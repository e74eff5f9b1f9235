"""Traces and GenAI metrics as a collector gets them from a real gateway."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from router.errors import SettingsError
from router.telemetry.export import NoExport, make_export, wanted_signals
from router.upstream.standin import Fault
from tests.running import chat_body
from tests.security.process import CLEAN
from tests.telemetry.collector import Collector, labels_of
from tests.telemetry.conftest import POLICY, House, make_house

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


async def traced(collector: Collector, trace_id: str, spans: int) -> None:
    await asyncio.to_thread(
        collector.until, lambda: len(collector.trace(trace_id)) >= spans, f"{spans} spans of {trace_id}"
    )


def trace_of(answer: httpx.Response) -> str:
    return str(answer.headers["x-request-id"]).removeprefix("req_")


@pytest.fixture
async def traced_house(collector: Collector, tmp_path: Path):  # type: ignore[no-untyped-def]
    async with make_house(tmp_path) as made:
        yield made


async def test_a_request_is_a_server_span_with_a_client_span_for_its_call(
    traced_house: House, collector: Collector
) -> None:
    before = time.time()
    answer = await traced_house.gateway.chat("hello there")
    trace_id = trace_of(answer)
    await traced(collector, trace_id, 2)
    request, call = collector.trace(trace_id)
    assert request.span.name == "POST /v1/chat/completions"
    assert request.span.kind == Span.SPAN_KIND_SERVER and not request.span.parent_span_id
    assert request.span.span_id.hex() == trace_id[16:]
    assert not request.failed and not call.failed
    said = request.attributes
    assert said["http.response.status_code"] == 200
    assert said["signalbox.request_id"] == f"req_{trace_id}"
    assert (said["signalbox.route"], said["signalbox.rule"], said["signalbox.model"]) == ("auto", "easy", "small")
    assert (said["signalbox.cache"], said["signalbox.tenant"]) == ("miss", "default")
    assert 0 <= said["signalbox.overhead"] < 5

    assert call.span.name == "chat standin-small" and call.span.kind == Span.SPAN_KIND_CLIENT
    assert call.span.parent_span_id == request.span.span_id
    asked = call.attributes
    assert asked["gen_ai.operation.name"] == "chat" and asked["gen_ai.provider.name"] == "openai"
    assert asked["gen_ai.request.model"] == "standin-small"
    assert (asked["gen_ai.usage.input_tokens"], asked["gen_ai.usage.output_tokens"]) == (100, 20)
    assert asked["gen_ai.usage.cache_read.input_tokens"] == 40
    assert asked["gen_ai.response.finish_reasons"] == ["stop"]
    cost = float(answer.headers["x-signalbox-cost-usd"])
    assert asked["signalbox.cost_usd"] == said["signalbox.cost_usd"] == pytest.approx(cost) and cost > 0

    began, ended = request.span.start_time_unix_nano / 1e9, request.span.end_time_unix_nano / 1e9
    assert before - 0.01 <= began <= call.span.start_time_unix_nano / 1e9
    assert call.span.end_time_unix_nano / 1e9 <= ended + 0.001 and ended <= time.time() + 0.01
    assert request.resource["service.name"] == "signalbox" and request.resource["service.instance.id"]


async def test_a_fallback_shows_the_failed_call_and_the_one_that_answered(
    traced_house: House, collector: Collector
) -> None:
    traced_house.small.script.append(Fault("status", 500))
    answer = await traced_house.gateway.chat("fall back, please")
    assert answer.headers["x-signalbox-model"] == "large"
    await traced(collector, trace_of(answer), 3)
    request, failed, served = collector.trace(trace_of(answer))
    assert failed.failed and failed.attributes["error.type"] == "upstream_broken"
    assert failed.attributes["gen_ai.request.model"] == "standin-small"
    assert not served.failed and served.attributes["gen_ai.request.model"] == "standin-large"
    assert {failed.span.parent_span_id, served.span.parent_span_id} == {request.span.span_id}
    assert request.attributes["signalbox.attempts"] == 2
    assert failed.span.end_time_unix_nano <= served.span.start_time_unix_nano + 1_000_000


async def test_a_request_that_nobody_answers_is_marked_as_failed(traced_house: House, collector: Collector) -> None:
    traced_house.small.script.append(Fault("status", 500))
    traced_house.large.script.append(Fault("status", 500))
    answer = await traced_house.gateway.chat("fail, please")
    assert answer.status_code == 502
    await traced(collector, trace_of(answer), 3)
    request, *calls = collector.trace(trace_of(answer))
    assert request.failed and request.attributes["error.type"] == "upstream_broken"
    assert request.attributes["signalbox.fault"] == "upstream"
    assert all(call.failed for call in calls)


async def test_an_answer_from_the_cache_calls_nobody(traced_house: House, collector: Collector) -> None:
    await traced_house.gateway.chat("the same again")
    answer = await traced_house.gateway.chat("the same again")
    assert answer.headers["x-signalbox-cache"] == "hit"
    other = await traced_house.gateway.chat("another, so that the trace before it is whole")
    await traced(collector, trace_of(other), 2)
    [request] = collector.trace(trace_of(answer))
    assert request.attributes["signalbox.cache"] == "hit" and request.attributes["signalbox.cost_usd"] == 0


async def test_the_callers_trace_is_taken_over_and_goes_to_no_upstream(
    traced_house: House, collector: Collector
) -> None:
    headers = {"traceparent": TRACEPARENT, "tracestate": "vendor=secret-state", "baggage": "user=alice"}
    traced_house.small.script.append(Fault("status", 500))
    await traced_house.gateway.post("/v1/chat/completions", chat_body("with a trace"), **headers)
    await traced(collector, TRACE, 3)
    request, *calls = collector.trace(TRACE)
    assert request.span.parent_span_id.hex() == SPAN
    assert {call.span.parent_span_id for call in calls} == {request.span.span_id}
    for model in (traced_house.small, traced_house.large):
        [received] = model.journal
        for name, value in received.headers.items():
            assert name.lower() not in ("traceparent", "tracestate", "baggage")
            assert TRACE not in value and "secret-state" not in value and "alice" not in value


@pytest.mark.parametrize(
    "malformed",
    ["", "00", "00-" + "0" * 32 + f"-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01",
     f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}", "x" * 5000,
     f"00-{TRACE}-{SPAN}-0g", f"00-{TRACE[:-1]}é-{SPAN}-01"],
)  # fmt: skip
async def test_a_malformed_traceparent_is_ignored(traced_house: House, collector: Collector, malformed: str) -> None:
    async with httpx.AsyncClient(base_url=traced_house.gateway.url) as client:
        headers = {"traceparent": malformed.encode()}
        answer = await client.post("/v1/chat/completions", json=chat_body("hello"), headers=headers)
    assert answer.status_code == 200
    await traced(collector, trace_of(answer), 2)
    assert not collector.trace(trace_of(answer))[0].span.parent_span_id


async def test_a_caller_who_does_not_sample_is_not_traced_but_measured(
    traced_house: House, collector: Collector
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
    traced_house.small.script.append(Fault("status", 500))
    await traced_house.gateway.post("/v1/chat/completions", chat_body("not this one"), **headers)
    answer = await traced_house.gateway.chat("but this one")
    await traced(collector, trace_of(answer), 2)
    assert not collector.trace(TRACE)
    await asyncio.to_thread(
        collector.until, lambda: _measured(collector, "gen_ai.client.operation.duration") >= 3, "measured"
    )


def _measured(collector: Collector, name: str) -> int:
    return sum(point.count for point in collector.points.get(name, []))


async def test_calls_are_measured_under_the_conventions_names(traced_house: House, collector: Collector) -> None:
    await traced_house.gateway.chat("one")
    await traced_house.gateway.chat("two", stream=True)
    await asyncio.to_thread(collector.until, lambda: _measured(collector, "gen_ai.client.token.usage") == 4, "measured")
    await asyncio.to_thread(
        collector.until, lambda: _measured(collector, "gen_ai.client.operation.duration") == 2, "measured"
    )
    for point in collector.points["gen_ai.client.token.usage"]:
        labels = labels_of(point)
        assert labels["gen_ai.request.model"] == "standin-small" and labels["gen_ai.operation.name"] == "chat"
        assert point.sum == {"input": 200, "output": 40}[labels["gen_ai.token.type"]]
        assert list(point.explicit_bounds)[:3] == [1, 4, 16]
    [first_chunk] = collector.points["gen_ai.client.operation.time_to_first_chunk"]
    assert first_chunk.count == 1 and 0 < first_chunk.sum < 5


async def test_no_text_no_key_and_no_conversation_is_in_anything_that_is_sent(
    traced_house: House, collector: Collector
) -> None:
    headers = {
        "x-signalbox-conversation": "talk-canary",
        "x-request-id": "their-canary",
        "authorization": "Bearer k-canary",
    }
    body = chat_body("prompt-canary", user="user-canary", metadata={"note": "meta-canary"})
    answer = await traced_house.gateway.post("/v1/chat/completions", body, **headers)
    await traced(collector, trace_of(answer), 2)
    await asyncio.to_thread(collector.until, lambda: bool(collector.points), "measured")
    sent = b"".join(collector.raw)
    assert b"standin-small" in sent and b"a little answer" not in sent and b"canary" not in sent


@pytest.mark.parametrize("trouble", ["away", "refuses", "hangs"])
async def test_a_collector_in_trouble_fails_no_request_and_holds_up_no_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    if trouble == "away":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    elif trouble == "refuses":
        collector.status = 400
    else:
        collector.hangs.set()
    async with make_house(tmp_path) as house:
        for number in range(20):
            assert (await house.gateway.chat(f"question {number}")).status_code == 200
        export = house.gateway.gateway.telemetry.export
        if trouble == "refuses":
            await asyncio.to_thread(collector.until, lambda: export.dropped["traces"] == 40, "40 drops")
            assert 'signalbox_otlp_dropped_total{signal="traces"} 40.0' in await house.page()
            assert 'signalbox_otlp_sent_total{signal="traces"} 0.0' in await house.page()
        began = time.monotonic()
    assert time.monotonic() - began < 6
    if trouble == "hangs":
        assert collector.posts  # it was asked, and yet nobody waited


async def test_a_share_is_sampled_whole_or_not_at_all(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    async with make_house(tmp_path) as house:
        whole = {}
        for number in range(40):
            if number % 2:
                house.small.script.append(Fault("status", 500))
            answer = await house.gateway.chat(f"question {number}")
            whole[trace_of(answer)] = 3 if number % 2 else 2
    sizes = Counter(seen.trace_id for seen in collector.spans)
    assert 5 <= len(sizes) <= 35 and set(sizes.values()) == {2, 3}
    assert sizes.items() <= whole.items()


async def test_what_does_not_fit_is_dropped_and_counted(collector: Collector) -> None:
    from router.telemetry.otel import OtelExport
    from tests.ledger.outcomes import an_outcome

    collector.hangs.set()
    export = OtelExport({"traces"}, rows_most=100, spans_most=50)
    for _ in range(130):
        export.take(an_outcome(upstream_model="m"))
    assert export.dropped["traces"] == 30
    export.start()
    await export.stop()
    assert export.sent["traces"] == 0
    assert export.dropped["traces"] >= 30 + 200 - 128  # 128 spans at most are on their way


async def test_what_waits_at_the_end_is_sent(collector: Collector, tmp_path: Path) -> None:
    async with make_house(tmp_path) as house:
        answers = [await house.gateway.chat(f"question {number}") for number in range(10)]
        export = house.gateway.gateway.telemetry.export
    assert {trace_of(answer) for answer in answers} <= {seen.trace_id for seen in collector.spans}
    assert len(collector.spans) == export.sent["traces"] == 20 and export.dropped == {"traces": 0, "metrics": 0}


async def test_headers_and_names_of_the_environment_are_used(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=red")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway-7")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab,service.version=9")
    async with make_house(tmp_path) as house:
        await house.gateway.chat("hello")
    resource = collector.spans[0].resource
    assert resource["service.name"] == "gateway-7" and resource["service.version"] == "9"
    assert resource["deployment.environment.name"] == "lab"
    assert {headers["x-team"] for headers in collector.headers} == {"red"}


@pytest.mark.parametrize(
    ("environment", "signals"),
    [({}, set()), ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, set()),
     ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, {"traces", "metrics"}),
     ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, {"traces"}),
     ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, {"metrics"}),
     ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, {"traces"}),
     ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, set())],
)  # fmt: skip
def test_only_what_the_environment_asks_for_is_sent(environment: dict[str, str], signals: set[str]) -> None:
    assert wanted_signals(environment) == signals


def test_without_an_endpoint_nothing_is_made() -> None:
    assert isinstance(make_export({}), NoExport)


def test_another_protocol_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf"):
        wanted_signals({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


SERVE = """
import sys
sys.modules["opentelemetry.exporter"] = None
from router.cli import main
sys.argv = ["signalbox", "serve", "--policy", "policy.yaml", "--port", "0"]
main()
"""


def test_an_endpoint_without_the_extra_stops_the_start_and_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.format(small="http://s.test", large="http://l.test"))
    environment = {**CLEAN, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    run = subprocess.run(
        [sys.executable, "-c", SERVE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 2
    assert "pip install 'signalbox[otel]'" in run.stderr and "Traceback" not in run.stderr


def test_the_gateway_loads_nothing_of_the_sdk_while_it_is_off() -> None:
    code = (
        "import sys, router.app, router.telemetry.export as export\n"
        "export.make_export({})\n"
        "print(*(name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not run.stdout.strip()
