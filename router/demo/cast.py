"""Who plays: the stand-ins or real models, with the real gateway as its own process before them."""

from __future__ import annotations

from pathlib import Path

from router.demo.stage import HOST, Stage, free_port
from router.policy.shipped import shipped_policy


def simulated(stage: Stage) -> str:
    """Starts both stand-ins and the gateway under policies/demo.yaml. Returns the gateway's address."""
    small, large = free_port(), free_port()
    stage.start("stand-ins", "router.demo.standins", [str(small), str(large)], {})
    stage.wait_until_ready(f"http://{HOST}:{small}/v1/models")
    stage.wait_until_ready(f"http://{HOST}:{large}/v1/models")
    urls = {
        "SIGNALBOX_DEMO_SMALL_URL": f"http://{HOST}:{small}/v1",
        "SIGNALBOX_DEMO_LARGE_URL": f"http://{HOST}:{large}",
    }
    return _gateway(stage, shipped_policy("demo"), urls)


def real(stage: Stage, policy: str) -> str:
    """Starts the gateway under a policy made of what was found. Returns its address."""
    file = stage.folder / "found.yaml"
    file.write_text(policy, "utf-8")
    return _gateway(stage, file, {})


def retrain(stage: Stage) -> None:
    """Trains a judge on what the gateway logged, in a process of its own, and promotes it."""
    stage.run("router.cli", ["retrain", "--promote"], {})


def _gateway(stage: Stage, policy: Path, extra: dict[str, str]) -> str:
    port = free_port()
    arguments = ["serve", "--policy", str(policy), "--host", HOST, "--port", str(port)]
    stage.start("gateway", "router.cli", arguments, extra)
    address = f"http://{HOST}:{port}"
    stage.wait_until_ready(f"{address}/readyz")
    return address
