"""The headers of an answer: who answered and why, and what the upstream's contract lets through."""

from __future__ import annotations

from router.entry import Entry
from router.plans.contract import Served

Headers = list[tuple[bytes, bytes]]


def told(entry: Entry) -> Headers:
    """The `x-signalbox-*` headers that say who answered and why, as far as that is known."""
    row = entry.row
    headers = [
        (b"x-signalbox-cache", row.cache.encode()),
        (b"x-signalbox-overhead-ms", b"%.3f" % row.overhead_ms),
    ]
    if row.policy:
        headers.append((b"x-signalbox-policy", header(row.policy)))
    if row.route:
        headers.append((b"x-signalbox-route", header(row.route)))
    if row.model:
        headers.append((b"x-signalbox-model", header(row.model)))
    if row.rule:
        headers.append((b"x-signalbox-rule", header(row.rule)))
    if entry.unproven is not None:
        headers.append((b"x-signalbox-unproven", header(entry.unproven)))
    if row.complexity is not None:
        headers.append((b"x-signalbox-complexity", b"%.3f" % row.complexity))
    if entry.account is not None:
        headers += entry.account.headers
    return headers


def passed_on(served: Served) -> Headers:
    """The upstream's headers that its contract lets through."""
    return [(name.encode("latin-1"), header(value)) for name, value in served.answer.headers.items()]


def header(text: str) -> bytes:
    """A text as a header value; what headers cannot hold becomes `?`."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return "".join(char if " " <= char <= "~" else "?" for char in text).encode()


def dollars(nano: int) -> bytes:
    return f"{nano / 1e9:.9f}".encode()
