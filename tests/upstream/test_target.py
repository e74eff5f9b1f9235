"""A model's address and its headers: as operators write them, and nothing that breaks out of its line."""

from __future__ import annotations

import pytest

from router.domain import ModelSpec
from router.errors import UpstreamBroken
from router.upstream.contract import Call
from router.upstream.target import Target

ADDRESSES = {
    "http://one.test": ((False, "one.test", 80), "/chat/completions", "one.test"),
    "HTTPS://One.Test/v1/": ((True, "one.test", 443), "/v1/chat/completions", "one.test"),
    "https://one.test:443/v1": ((True, "one.test", 443), "/v1/chat/completions", "one.test"),
    "http://one.test:443/v1": ((False, "one.test", 443), "/v1/chat/completions", "one.test:443"),
    "http://[::1]:8000/v1": ((False, "::1", 8000), "/v1/chat/completions", "[::1]:8000"),
    "http://one.test/a%20b/ü?x=1&y= 2#z": (
        (False, "one.test", 80),
        "/a%20b/%C3%BC/chat/completions?x=1&y=%202",
        "one.test",
    ),
    "http://bücher.test": ((False, "xn--bcher-kva.test", 80), "/chat/completions", "xn--bcher-kva.test"),
}


def head(url: str, request_id: str = "r", key: str | None = None, **headers: str) -> list[str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    target = Target(ModelSpec("m", "small", "m", base_url=url, api_key=key))
    return target.head(Call(target.model, b"12", False, request_id, named)).decode("latin-1").split("\r\n")


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_base_url_is_an_origin_a_path_and_a_host(url: str) -> None:
    origin, path, host = ADDRESSES[url]
    assert Target(ModelSpec("m", "small", "m", base_url=url)).origin == origin
    assert head(url)[:2] == [f"POST {path} HTTP/1.1", f"host: {host}"]


@pytest.mark.parametrize(
    "url",
    [
        "http://one.test:99999",
        "http://one.test:x",
        "http://a b.test",
        "http:///v1",
        "http://a\\b/",
        "http://a.test\r\nx: y/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UpstreamBroken, match="cannot be used"):
        Target(ModelSpec("m", "small", "m", base_url=url))


def test_the_key_goes_before_the_name_and_password_of_an_address() -> None:
    assert "authorization: Basic bWU6cGFzcyB3b3Jk" in head("http://me:pass%20word@one.test")
    told = head("http://me:pass@one.test", key=" sk-1\n")
    assert "authorization: Bearer sk-1" in told and not any("Basic" in line for line in told)


def test_a_call_brings_its_own_headers_but_none_of_ours() -> None:
    told = head("http://one.test", key="sk-1", openai_beta="b=2", Host="evil", content_length="9", authorization="x")
    assert told[-2:] == ["", ""] and told.count("content-length: 2") == 1 and "openai-beta: b=2" in told
    assert not any("evil" in line or line.endswith((": 9", ": x")) for line in told)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\x00b", "ř"])
def test_a_value_that_would_break_out_of_its_line_is_refused(value: str) -> None:
    with pytest.raises(UpstreamBroken, match="holds what no header may hold"):
        head("http://one.test", openai_beta=value)
    with pytest.raises(UpstreamBroken, match="holds what no header may hold"):
        head("http://one.test", value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UpstreamBroken, match="holds what no header may hold"):
        head("http://one.test", **{name: "x"})
