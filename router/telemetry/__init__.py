"""What operators watch: Prometheus metrics, OpenTelemetry and logs, all made from finished outcomes. No text in any."""

from router.telemetry.logs import set_up_logging
from router.telemetry.telemetry import Telemetry

__all__ = ["Telemetry", "set_up_logging"]
