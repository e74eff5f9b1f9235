"""A gateway that has run out of file descriptors answers again as soon as there are some, and its ledger adds up."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path

import httpx

from tests.faults.models import Heard
from tests.faults.process import gateway_process
from tests.faults.traffic import POLICY
from tests.running import client_of


async def test_a_gateway_without_file_descriptors_recovers_when_callers_leave(tmp_path: Path) -> None:
    model = Heard("m")
    async with model.serve() as url:
        (tmp_path / "policy.yaml").write_text(POLICY.format(url=url))
        async with gateway_process(tmp_path) as gateway:
            for number in range(4):
                assert (await gateway.ask(f"before {number}")).status_code == 200
            usual, asked = gateway.files, 4
            gateway.limit(resource.RLIMIT_NOFILE, usual + 10)
            port = httpx.URL(gateway.url).port
            crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            await asyncio.sleep(1.5)  # the watches look at files and at the database meanwhile
            refused = 0
            for _ in range(5):
                try:
                    async with client_of(gateway.url, timeout=1) as client:
                        await client.get("/healthz")
                except httpx.TransportError:
                    refused += 1
            assert refused, "there were descriptors left"
            assert (await gateway.ask("by connections from before")).status_code == 200
            asked += 1
            for _, writer in crowd:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            await gateway.until_ready(status="ok", database="ok")
            for number in range(4):
                async with client_of(gateway.url, timeout=20) as client:
                    assert (await client.get("/healthz")).status_code == 200
                assert (await gateway.ask(f"after {number}")).status_code == 200
                asked += 1
            for _ in range(400):
                if gateway.files <= usual + 4:
                    break
                await asyncio.sleep(0.05)
            assert gateway.files <= usual + 4, "descriptors are lost"
            await gateway.add_up(asked, model)


async def test_a_gateway_opens_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.format(url="http://127.0.0.1:1"))
    async with gateway_process(tmp_path, before="ulimit -S -n 256") as gateway:
        soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    assert soft == hard > 256
