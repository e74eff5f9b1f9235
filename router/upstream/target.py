"""Where the calls of one model go, and the part of their heads that is the same for all of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, unquote, urlsplit

from router.domain import ModelSpec
from router.errors import UpstreamBroken, UpstreamRefusedKey
from router.upstream.contract import Call
from router.upstream.http1.dialing import Origin

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_PORTS = {"http": 80, "https": 443}
_SAFE = "!#$%&'()*+,/:;=?@[]~"
"""Stays as the operator wrote it in a path or query (RFC 3986 3.3, 3.4), percent signs too."""

_SAME_FOR_ALL = (
    b"accept: */*\r\naccept-encoding: identity\r\ncontent-type: application/json\r\nuser-agent: signalbox\r\n"
)
_OURS = frozenset(
    "accept accept-encoding authorization connection content-length content-type host transfer-encoding user-agent "
    "x-request-id".split()
)
"""Headers that no call brings along."""

_NOT_IN_A_NAME = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NOT_IN_A_VALUE = re.compile(r"[\x00\r\n]|[^\x00-\xff]")


class Target:
    """One model's address. Raises UpstreamError for a base_url or key that nothing can be done with."""

    __slots__ = ("_head", "model", "origin")

    def __init__(self, model: ModelSpec):
        self.model = model
        url, self.origin = _address(model)
        lines = request_lines(url, url.path.rstrip("/") + "/chat/completions", self.origin)
        if (authorization := _authorization(model, url)) is not None:
            lines += f"authorization: {authorization}\r\n"
        self._head = lines.encode("ascii") + _SAME_FOR_ALL

    def head(self, call: Call) -> bytes:
        """The head of one call, with its blank line. Raises UpstreamBroken for headers that HTTP cannot carry."""
        more = self._more(call.headers) if call.headers else b""
        if _NOT_IN_A_VALUE.search(call.request_id):
            raise self._unfit()
        number = call.request_id.encode("latin-1")
        return b"%bx-request-id: %b\r\n%bcontent-length: %d\r\n\r\n" % (self._head, number, more, len(call.body))

    def _more(self, headers: Mapping[str, str]) -> bytes:
        lines = ""
        for name, value in headers.items():
            if not name or _NOT_IN_A_NAME.search(name) or _NOT_IN_A_VALUE.search(value):
                raise self._unfit()
            if name.lower() not in _OURS:
                lines += f"{name}: {value}\r\n"
        return lines.encode("latin-1")

    def _unfit(self) -> UpstreamBroken:
        return UpstreamBroken(f"A header for model `{self.model.name}` holds what no header may hold.")


def _address(model: ModelSpec) -> tuple[SplitResult, Origin]:
    """The parsed base_url, and where it leads."""
    try:
        return address_of(model.base_url or DEFAULT_BASE_URL)
    except ValueError:
        raise UpstreamBroken(f"The base_url of model `{model.name}` cannot be used.") from None


def address_of(address: str) -> tuple[SplitResult, Origin]:
    """An http or https URL, and where it leads. Raises ValueError for anything else."""
    url = urlsplit(address)
    host, port = url.hostname or "", url.port
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if url.scheme not in _PORTS or not host or not re.fullmatch(r"[0-9a-z._~:%-]+", host):
        raise ValueError("no address")
    return url, Origin(url.scheme == "https", host, _PORTS[url.scheme] if port is None else port)


def request_lines(url: SplitResult, path: str, origin: Origin) -> str:
    """The first two lines of a POST there: the request line, with the URL's query, and the host."""
    target = quote(path, safe=_SAFE)
    if url.query:
        target += "?" + quote(url.query, safe=_SAFE)
    secure, host, port = origin
    name = f"[{host}]" if ":" in host else host
    if port != _PORTS["https" if secure else "http"]:
        name += f":{port}"
    return f"POST {target} HTTP/1.1\r\nhost: {name}\r\n"


def _authorization(model: ModelSpec, url: SplitResult) -> str | None:
    """The model's key; without one, the name and password that its base_url may hold (RFC 7617)."""
    if model.api_key:
        key = model.api_key.strip()
        if not (key.isascii() and key.isprintable()):
            raise UpstreamRefusedKey(f"The api_key of model `{model.name}` holds what no header may hold.")
        return f"Bearer {key}"
    if url.username is None:
        return None
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
