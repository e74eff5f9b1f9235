"""The demo as a user runs it: one whole run with `--exit`, and one that is stopped in the middle."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from router.upstream.standin import StandIn

DEMO = [sys.executable, "-m", "router.cli", "demo"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user without keys, Redis or a database, whose temporary folder we can look into."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SIGNALBOX_", "OPENAI_"))}
    inherited.pop("ANTHROPIC_API_KEY", None)
    (tmp_path / "tmp").mkdir()
    return {**inherited, "TMPDIR": str(tmp_path / "tmp")}


def test_the_whole_demo_keeps_its_claims_in_forty_lines_and_leaves_nothing_behind(environ, tmp_path):
    done = subprocess.run(
        [*DEMO, "--exit"], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=110, check=False
    )
    printed = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert len(printed) <= 40
    assert sum("SIMULATED" in line for line in printed) >= 3
    kept = {line[7:23].strip() for line in printed if line.startswith("ok ")}
    assert kept >= {"easy -> small", "hard -> large", "repeat -> cache", "private -> local", "explained", "cheaper"}
    assert kept >= {"answered", "overhead", "feedback", "retrained", "moved"}
    assert not any(line.startswith("FAILED") for line in printed)
    assert list((tmp_path / "tmp").glob("signalbox-demo-*")) == []
    assert {path.name for path in tmp_path.iterdir()} == {"tmp"}


def test_a_demo_that_is_told_to_stop_in_the_middle_takes_its_children_and_its_folder_with_it(environ, tmp_path):
    demo = subprocess.Popen(DEMO, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not list((tmp_path / "tmp").glob("signalbox-demo-*/gateway.log")):
            assert demo.poll() is None, demo.communicate()
            time.sleep(0.05)
        demo.send_signal(signal.SIGTERM)
        # The pipes close only when no child holds them any more.
        demo.communicate(timeout=30)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode == 130
    assert list((tmp_path / "tmp").glob("signalbox-demo-*")) == []


async def test_with_real_models_it_says_first_what_they_may_cost_and_grades_nothing(environ, tmp_path):
    model = StandIn("gpt-4.1", lambda question: f"You asked: {question}")
    async with model.serve() as url:
        keys = {"OPENAI_API_KEY": "sk-made-up", "OPENAI_BASE_URL": f"{url}/v1", "OLLAMA_HOST": "127.0.0.1:9"}
        demo = await asyncio.create_subprocess_exec(
            *DEMO, "--real", "--exit", cwd=tmp_path, env={**environ, **keys}, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        printed, noted = (stream.decode() for stream in await demo.communicate())
    assert demo.returncode == 0, printed + noted
    assert "24 questions are asked; what that costs is not known" in noted
    assert len({entry.question for entry in model.journal}) == len(model.journal) == 24
    assert "SIMULATED" not in printed
    assert "retrained" not in printed
