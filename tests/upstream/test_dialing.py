"""Connections are made to whom the policy names and to nobody else: names, several addresses, certificates."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import uvloop

from router.domain import ModelSpec, Timeouts
from router.errors import UpstreamTimeout, UpstreamUnreachable
from router.upstream.contract import Call
from router.upstream.http1.dialing import Dialer, Origin, first_of, mixed
from router.upstream.openai_relay import OpenAIRelay
from router.upstream.standin import StandIn
from tests.upstream.wire import OK, a_pool, asked, saying, serving

HI = OK + b"content-length: 2\r\n\r\nhi"


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and a server that it vouches for under the name `localhost`."""

    certificate: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("authority")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    usage = ("-addext", "keyUsage=critical,keyCertSign")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ours", "-days", "2", *usage)
    run("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
    run("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed_by)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    server.set_alpn_protocols(["h2", "http/1.1"])
    return Authority(folder / "ca.pem", server)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_server_whose_certificate_is_vouched_for_is_talked_to_and_no_other(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, factory: object
) -> None:
    spoken: list[object] = []
    body = b"x" * 3_000_000

    async def story() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tls = writer.get_extra_info("ssl_object")
            spoken.append(tls.selected_alpn_protocol())
            await saying(HI)(reader, writer)

        async with serving(talk, authority.server) as served:
            named = Origin(True, "localhost", served.origin.port)
            with monkeypatch.context() as environment:
                environment.setenv("SSL_CERT_FILE", str(authority.certificate))
                async with a_pool() as pool:
                    for _ in range(2):
                        assert await asked(pool, named, body) == (200, b"hi")
                    assert served.connections == 1
                    with pytest.raises(ssl.SSLCertVerificationError):
                        await pool.connect(served.origin)  # by its address, which the certificate does not name
            async with a_pool() as pool:
                with pytest.raises(ssl.SSLCertVerificationError):
                    await pool.connect(named)  # nobody vouches for it any more
            await served.until_left()

    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]
        runner.run(story())
    assert spoken == ["http/1.1"]


async def test_a_server_without_tls_is_unreachable_by_https() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n")

    async with serving(talk) as served:
        model = ModelSpec("m", "small", "m", base_url=f"https://127.0.0.1:{served.origin.port}", timeouts=Timeouts(2))
        relay = OpenAIRelay()
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable):
                await relay.open(Call(model, b"{}", False, "r", {}))
        await served.until_left()
        await relay.aclose()


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_handshake_that_takes_too_long_is_the_connect_timeout_and_leaves_nothing_open(factory: object) -> None:
    async def story() -> None:
        async with serving(lambda reader, _: reader.readuntil(b"never")) as served:  # type: ignore[arg-type,return-value]
            url = f"https://127.0.0.1:{served.origin.port}"
            model = ModelSpec("m", "small", "m", base_url=url, timeouts=Timeouts(connect=0.3))
            relay = OpenAIRelay()
            before = files()
            for _ in range(3):
                with pytest.raises(UpstreamTimeout, match="connect"):
                    await relay.open(Call(model, b"{}", False, "r", {}))
            await served.until_left()
            await asyncio.sleep(0.05)
            assert files() == before
            await relay.aclose()

    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]
        runner.run(story())


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    standin = StandIn("m", lambda question: "fine")
    async with serving(saying(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n")) as proxy, standin.serve() as url:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.origin.port}")
        relay = OpenAIRelay()
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
        model = ModelSpec("m", "small", "m", base_url=f"{url}/v1")
        assert (await relay.open(Call(model, body, False, "r", {}))).status == 200
        await relay.aclose()
        assert proxy.connections == 0


def full() -> tuple[socket.socket, list[socket.socket]]:
    """A socket that listens and never accepts, and the connections that fill its queue: who comes now waits."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    ahead = [socket.socket() for _ in range(4)]
    for one in ahead:
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
    return listening, ahead


def files() -> int:
    """Open file descriptors of this process, where that can be told."""
    return psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0


async def test_an_address_that_does_not_answer_is_overtaken_by_the_next() -> None:
    loop = asyncio.get_running_loop()
    silent, ahead = full()
    with contextlib.ExitStack() as closing:
        for one in (silent, *ahead):
            closing.enter_context(one)
        async with serving(saying(HI)) as served:
            refusing = closing.enter_context(socket.socket())
            refusing.bind(("127.0.0.1", 0))
            there = (socket.AF_INET, ("127.0.0.1", served.origin.port))
            addresses = [(socket.AF_INET, silent.getsockname()), (socket.AF_INET, refusing.getsockname()), there]
            before = files()
            async with asyncio.timeout(2.0):
                connected = await first_of(loop, addresses)
            assert connected.getpeername() == there[1]
            connected.close()
            await served.until_left()
            assert files() == before, "the losers are closed"


async def test_where_no_address_answers_the_error_says_so() -> None:
    with socket.socket() as one, socket.socket() as other:
        for refusing in (one, other):
            refusing.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await first_of(
                asyncio.get_running_loop(),
                [(socket.AF_INET, one.getsockname()), (socket.AF_INET, other.getsockname())],
            )


def test_the_families_take_turns() -> None:
    six = [(socket.AF_INET6, ("::1", number, 0, 0)) for number in range(3)]
    four = [(socket.AF_INET, ("127.0.0.1", 0))]
    assert mixed([*six, *four]) == [six[0], four[0], six[1], six[2]]


async def test_a_name_is_asked_for_once_however_many_come_at_a_time() -> None:
    async with serving(saying(HI)) as served:
        dialer = Dialer(asyncio.get_running_loop())
        protocols = [asyncio.Protocol() for _ in range(20)]
        origin = Origin(False, "localhost", served.origin.port)
        before = asyncio.all_tasks()
        dials = [asyncio.create_task(dialer.dial(origin, protocol)) for protocol in protocols]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks() - before - set(dials)) == 1
        await asyncio.gather(*dials)
        async with asyncio.timeout(1.0):
            while served.connections < 20:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    model = ModelSpec("m", "small", "m", base_url="http://nobody.invalid/v1")
    relay = OpenAIRelay()
    with pytest.raises(UpstreamUnreachable, match="gaierror"):
        await relay.open(Call(model, b"{}", False, "r", {}))
    await relay.aclose()
