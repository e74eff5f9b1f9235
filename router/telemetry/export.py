"""Whether outcomes go to an OpenTelemetry collector, by the variables that OpenTelemetry itself defines.

Off is an object that does nothing. What being on means stands in `router.telemetry.otel`, which is imported only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol

from router.domain import Outcome
from router.errors import SettingsError
from router.telemetry.names import SIGNALS

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "http/protobuf"

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Export(Protocol):
    """The way to a collector. sent, dropped: spans and metric batches so far, by signal (`traces`, `metrics`)."""

    sent: dict[str, int]
    dropped: dict[str, int]

    def take(self, outcome: Outcome) -> None:
        """Takes one finished row. Never raises, never waits; what is too much is dropped and counted."""
        ...

    def start(self) -> None:
        """Begins to send."""
        ...

    async def stop(self) -> None:
        """Sends what it can within a few seconds, and gives the rest up."""
        ...


class NoExport:
    """No collector: nothing is kept and nothing is sent."""

    def __init__(self) -> None:
        self.sent = dict.fromkeys(SIGNALS, 0)
        self.dropped = dict.fromkeys(SIGNALS, 0)

    def take(self, outcome: Outcome) -> None:
        """Nothing."""

    def start(self) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""


def wanted_signals(environment: Mapping[str, str]) -> frozenset[str]:
    """Which of `traces` and `metrics` are to be sent. Raises SettingsError where that cannot be done.

    Source: OpenTelemetry's specification of environment variables and of the OTLP exporter.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return frozenset()
    wanted = frozenset(
        signal
        for signal in SIGNALS
        if (environment.get(ENDPOINT) or environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))
        and environment.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp") == "otlp"
    )
    for signal in sorted(wanted):
        name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
        name = name if environment.get(name) else "OTEL_EXPORTER_OTLP_PROTOCOL"
        if environment.get(name, PROTOCOL) != PROTOCOL:
            raise SettingsError(f"{name}: only {PROTOCOL} is spoken here (port 4318 at most collectors).")
    if wanted and not all(map(_is_there, _NEEDED)):
        raise SettingsError(
            "An OTLP endpoint is set, but OpenTelemetry is not installed: pip install 'signalbox[otel]', "
            f"or unset {ENDPOINT}."
        )
    return wanted


def make_export(environment: Mapping[str, str]) -> Export:
    """The export that the environment asks for. Raises SettingsError where it asks for what cannot be had."""
    wanted = wanted_signals(environment)
    if not wanted:
        return NoExport()
    from router.telemetry.otel import OtelExport

    return OtelExport(wanted)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
