"""The nginx configuration of docs/deployment.md under a real nginx: streams pass unheld, big bodies pass, callers who
leave are noticed, and who is a stranger stays one."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from router.upstream.standin import Reply, StandIn
from tests.docs.reading import all_blocks
from tests.running import POLICY, Running, chat_body, running
from tests.security.process import serving
from tests.servers import free_port

NAME = "llm.example.com"
BARE = "server { listen 443 ssl; ssl_certificate /etc/ssl/NAME.pem; ssl_certificate_key /etc/ssl/NAME.key; \
location / { proxy_pass http://127.0.0.1:8080; } }".replace("NAME", NAME)
"""What one writes who has not read the page."""

PIECES, GAP_SECONDS = 8, 0.15


def documented() -> str:
    """The configuration of the page, with this machine counted among those inside."""
    [block] = all_blocks("nginx")
    assert "allow 10.0.0.0/8;" in block.text
    return block.text.replace("allow 10.0.0.0/8;", "allow 127.0.0.1;")


@pytest.fixture(scope="module")
def nginx() -> str:
    found = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed")
    return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of our own for NAME, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{NAME}.key")
    named = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2", "-out", f"{NAME}.pem")
    subprocess.run([openssl, "req", "-x509", *key, *named], cwd=folder, check=True, capture_output=True)
    return folder


@asynccontextmanager
async def proxied(
    nginx: str, certificate: Path, folder: Path, configuration: str, gateway: Running
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of nginx under NAME, which stands before the gateway until the block ends."""
    port = free_port()
    configuration = configuration.replace("/etc/ssl", str(certificate)).replace(
        "listen 443", f"listen 127.0.0.1:{port}"
    )
    configuration = configuration.replace("127.0.0.1:8080", gateway.url.removeprefix("http://"))
    temporary = " ".join(f"{kind}_temp_path {folder};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body"))
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{configuration}\n}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", "nginx.conf"
    )
    trust = ssl.create_default_context(cafile=certificate / f"{NAME}.pem")
    try:
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{port}",
            headers={"host": NAME},
            transport=_AsName(verify=trust),
            timeout=30,
        ) as client:
            await _answers(process, port, folder)
            yield client
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


class _AsName(httpx.AsyncHTTPTransport):
    """Asks for the certificate of NAME, wherever nginx listens."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = NAME
        return await super().handle_async_request(request)


async def _answers(process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            assert process.returncode is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


@asynccontextmanager
async def scene(
    nginx: str, certificate: Path, folder: Path, configuration: str, **settings: str
) -> AsyncIterator[tuple[httpx.AsyncClient, Running, StandIn]]:
    """Client, gateway and model with nginx between the first two."""
    model = StandIn("m", lambda _: Reply("a word or two, and some more", pieces=PIECES, gap_seconds=GAP_SECONDS))
    (folder / "nginx").mkdir()
    async with model.serve() as url, running(folder, POLICY.format(small=url, large=url), **settings) as gateway:
        async with proxied(nginx, certificate, folder / "nginx", configuration, gateway) as client:
            yield client, gateway, model


async def test_a_stream_is_not_held_back_and_a_caller_who_leaves_is_noticed(
    nginx: str, certificate: Path, tmp_path: Path
) -> None:
    async with scene(nginx, certificate, tmp_path, documented()) as (client, gateway, model):
        body = chat_body("hi", stream=True)
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.headers["x-signalbox-model"] == "small"
            arrived = [time.monotonic() async for _ in answer.aiter_raw()]
        assert arrived[-1] - arrived[0] > (PIECES - 3) * GAP_SECONDS
        async with client.stream("POST", "/v1/chat/completions", json=chat_body("hello", stream=True)) as answer:
            await anext(answer.aiter_raw())
        left = await model.received(2)
        await asyncio.wait_for(left.left.wait(), 5)
        rows = await gateway.rows(2)
        assert [row["outcome"] for row in rows] == ["ok", "client_closed"]


async def test_bodies_up_to_the_gateways_own_bound_pass(nginx: str, certificate: Path, tmp_path: Path) -> None:
    async with scene(nginx, certificate, tmp_path, documented()) as (client, _, _):
        passed = await client.post("/v1/chat/completions", json=chat_body("x " * 2_000_000))
        assert passed.json()["error"]["code"] == "context_length_exceeded"
        refused = await client.post("/v1/chat/completions", json=chat_body("x" * 10_000_001))
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")


async def test_without_an_admin_key_a_strangers_name_is_kept_out(nginx: str, certificate: Path, tmp_path: Path) -> None:
    async with scene(nginx, certificate, tmp_path, documented()) as (client, _, _):
        for headers in ({}, {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "127.0.0.1"}):
            answer = await client.get("/api/costs", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


async def test_behind_a_bare_proxy_pass_everybody_looks_like_loopback(
    nginx: str, certificate: Path, tmp_path: Path
) -> None:
    async with scene(nginx, certificate, tmp_path, BARE) as (client, _, _):
        assert (await client.get("/api/costs")).status_code == 200


async def test_with_an_admin_key_it_is_asked_for_and_the_session_is_for_https_alone(
    nginx: str, certificate: Path, tmp_path: Path
) -> None:
    async with scene(nginx, certificate, tmp_path, documented(), admin_key="the-admin") as (client, _, _):
        assert (await client.get("/api/costs")).status_code == 401
        assert (await client.get("/api/costs", headers={"authorization": "Bearer the-admin"})).status_code == 200
        entered = await client.post("/login", data={"key": "the-admin", "next": "/dashboard"})
        assert entered.status_code == 303
        assert "Secure" in entered.headers["set-cookie"]


async def test_a_replica_that_is_gone_costs_no_request(nginx: str, certificate: Path, tmp_path: Path) -> None:
    line = next(line for line in documented().splitlines() if "server 127.0.0.1:8080;" in line)
    gone = f"    server 127.0.0.1:{free_port()} max_fails=0;"
    configuration = documented().replace(line, f"{line}\n{gone}")
    async with scene(nginx, certificate, tmp_path, configuration) as (client, gateway, _):
        answers = [await client.post("/v1/chat/completions", json=chat_body(f"hi {number}")) for number in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert "Connection refused" in (tmp_path / "nginx" / "error.log").read_text()
        assert len(await gateway.rows(6)) == 6


@pytest.mark.parametrize(("trusted", "status"), [("127.0.0.1", 403), ("10.1.1.1", 200)])
def test_an_address_is_believed_only_of_a_proxy_that_is_trusted(trusted: str, status: int, tmp_path: Path) -> None:
    policy = POLICY.format(small="http://127.0.0.1:9", large="http://127.0.0.1:9")
    with serving(tmp_path, policy, FORWARDED_ALLOW_IPS=trusted) as gateway:
        answer = httpx.get(f"{gateway.url}/api/costs", headers={"x-forwarded-for": "10.0.0.9"}, trust_env=False)
    assert answer.status_code == status


def test_nginx_waits_longer_than_any_answer_takes_by_default() -> None:
    from router.domain import Timeouts

    for directive in ("proxy_read_timeout", "proxy_send_timeout"):
        [line] = [line for line in documented().splitlines() if directive in line]
        assert float(line.split(directive)[1].split("s;")[0]) > Timeouts().total
