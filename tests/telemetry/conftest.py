"""A gateway with two stand-in models, and a collector where a test asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from router.upstream.standin import Reply, StandIn
from tests.running import Running, running
from tests.telemetry.collector import Collector, collecting

POLICY = """
version: 1
models:
  small: {{tier: small, model: standin-small, base_url: "{small}/v1", context: 32768, private: true, retries: 0, price: {{input: 1000, output: 2000}}}}
  large: {{tier: large, model: standin-large, base_url: "{large}/v1", context: 200000, retries: 0, price: {{input: 3000, output: 15000}}}}
  free: {{tier: small, model: standin-free, base_url: "{small}/v1", retries: 0}}
default: small
limits:
  - {{name: pace, per: key, requests_per_minute: 1000}}
routes:
  auto:
    baseline: large
    rules:
      - {{name: erring, when: "headers['x-no-such'] == 'a'", use: large}}
      - {{name: easy, when: "true", use: small, fallback: [large]}}
    cache: {{exact: {{ttl: 1h}}}}
  careful:
    baseline: large
    audit: {{rate: 0.5, judge: free}}
    rules:
      - {{name: promise, choose: cheapest, among: [small, large], max_risk: 0.02}}
"""  # noqa: E501


@dataclass(frozen=True)
class House:
    """A gateway and the models behind it."""

    gateway: Running
    small: StandIn
    large: StandIn

    async def page(self) -> str:
        """What `/metrics` answers."""
        async with httpx.AsyncClient(base_url=self.gateway.url) as client:
            answer = await client.get("/metrics")
        assert answer.status_code == 200
        return answer.text


@asynccontextmanager
async def make_house(folder: Path) -> AsyncIterator[House]:
    """A gateway that exports as the environment says."""
    reply = Reply("a little answer", input_tokens=100, output_tokens=20, cached_tokens=40, reasoning_tokens=5)
    small, large = StandIn("small", lambda text: reply), StandIn("large", lambda text: reply)
    async with small.serve() as small_url, large.serve() as large_url:
        async with running(folder, POLICY.format(small=small_url, large=large_url)) as gateway:
            yield House(gateway, small, large)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One that exports nothing."""
    async with make_house(tmp_path) as made:
        yield made


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names; gateways made after it export to it."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "300")
        yield collector
