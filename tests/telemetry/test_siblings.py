"""Several worker processes of one gateway tell Prometheus one story."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from router.telemetry import Telemetry
from router.telemetry.counts import Histogram
from router.telemetry.names import METRICS
from router.telemetry.siblings import ALIVE_SECONDS, Siblings, Values, merged
from router.upstream.standin import StandIn
from tests.ledger.outcomes import an_outcome
from tests.security.process import CLEAN, standing
from tests.servers import free_port
from tests.telemetry.conftest import POLICY


def observed(*seconds: float) -> Histogram:
    histogram = Histogram((0.1, 1.0))
    for value in seconds:
        histogram.observe(value)
    return histogram


def left_by_another(folder: Path, values: Values, age: float = 0.0) -> None:
    """The file that a worker with another process id would leave."""
    Siblings(folder).share(values)
    file = folder / f"{os.getpid()}.json"
    other = file.rename(folder / f"{time.monotonic_ns()}.json")
    os.utime(other, (time.time() - age,) * 2)


def test_counters_and_histograms_add_up_and_gauges_follow_their_rule() -> None:
    one: Values = {
        "signalbox_requests_total": {("auto", "small", "200"): 3},
        "signalbox_overhead_seconds": {(): observed(0.05, 5)},
        "signalbox_requests_in_flight": {(): 2},
        "signalbox_part_well": {("database",): 1},
        "signalbox_breaker_state": {("small", "open"): 0},
    }
    other: Values = {
        "signalbox_requests_total": {("auto", "small", "200"): 4, ("auto", "large", "200"): 1},
        "signalbox_overhead_seconds": {(): observed(0.5)},
        "signalbox_requests_in_flight": {(): 1},
        "signalbox_part_well": {("database",): 0},
        "signalbox_breaker_state": {("small", "open"): 1},
    }
    both = merged([one, other])
    assert both["signalbox_requests_total"] == {("auto", "small", "200"): 7, ("auto", "large", "200"): 1}
    histogram = both["signalbox_overhead_seconds"][()]
    assert isinstance(histogram, Histogram)
    assert (histogram.counts, histogram.total) == ([1, 1, 1], 5.55)
    assert both["signalbox_requests_in_flight"] == {(): 3}
    assert both["signalbox_part_well"] == {("database",): 0}
    assert both["signalbox_breaker_state"] == {("small", "open"): 1}


def test_a_worker_that_is_gone_leaves_its_counters_and_takes_its_gauges(tmp_path: Path) -> None:
    gone: Values = {
        "signalbox_requests_total": {("auto", "small", "200"): 4},
        "signalbox_requests_in_flight": {(): 9},
    }
    left_by_another(tmp_path, gone, age=ALIVE_SECONDS + 1)
    whole = Siblings(tmp_path).with_others({"signalbox_requests_in_flight": {(): 1}})
    assert whole["signalbox_requests_total"] == {("auto", "small", "200"): 4}
    assert whole["signalbox_requests_in_flight"] == {(): 1}


def test_what_came_back_from_a_file_is_what_was_left_there(tmp_path: Path) -> None:
    telemetry = Telemetry(workers=tmp_path)
    telemetry.count(an_outcome(stream=True, ttft_ms=3.0))
    values = telemetry._page.values()
    left_by_another(tmp_path, values)
    doubled = Siblings(tmp_path).with_others(values)
    assert set(doubled) == set(values) <= set(METRICS)
    assert doubled["signalbox_requests_total"] == {("auto", "small", "200"): 2}
    assert b"signalbox_time_to_first_token_seconds_count" in telemetry.page()
    assert b'signalbox_requests_total{model="small",route="auto",status="200"} 2.0' in telemetry.page()


def test_a_broken_file_or_a_folder_that_is_gone_costs_no_scrape(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b"{")
    telemetry = Telemetry(workers=tmp_path)
    telemetry.count(an_outcome())
    assert b"signalbox_requests_total" in telemetry.page()
    assert b"signalbox_requests_total" in Telemetry(workers=tmp_path / "nowhere").page()


@contextmanager
def two_workers(folder: Path, redis_url: str) -> Iterator[tuple[str, list[psutil.Process]]]:
    port = free_port()
    environment = {**CLEAN, "SIGNALBOX_DATA_DIR": str(folder), "SIGNALBOX_REDIS_URL": redis_url}
    arguments = ["serve", "--policy", "policy.yaml", "--port", str(port), "--workers", "2"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "router.cli", *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while (folder / "log").read_text().count("Application startup complete") < 2:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if any("spawn_main" in word for word in child.cmdline())]
        yield url, workers
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_scrape_of_either_of_two_workers_tells_of_both(tmp_path: Path, redis_url: str) -> None:
    small, large = StandIn("small", lambda text: "yes"), StandIn("large", lambda text: "yes")
    with standing(small, large) as (small_url, large_url):
        (tmp_path / "policy.yaml").write_text(POLICY.format(small=small_url, large=large_url))
        with two_workers(tmp_path, redis_url) as (url, workers):
            for number in range(40):
                body = {"model": "auto", "messages": [{"role": "user", "content": f"question {number}"}]}
                with httpx.Client(trust_env=False, verify=False) as client:
                    assert client.post(f"{url}/v1/chat/completions", json=body).status_code == 200
            time.sleep(2.5)  # each worker shares its figures every second
            assert len(workers) == 2
            for silent in workers:
                silent.suspend()  # so that the other one answers
                try:
                    with httpx.Client(trust_env=False, verify=False) as client:
                        page = client.get(f"{url}/metrics").text
                finally:
                    silent.resume()
                counts = re.findall(r"^signalbox_requests_total.* (.*)$", page, re.M)
                assert sum(map(float, counts)) == 40.0
