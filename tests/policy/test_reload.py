"""The policy in use follows its file, and bad files never displace a good policy."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from router.errors import PolicyError
from router.policy.reload import PolicyWatcher
from router.policy.shipped import shipped_policy
from tests.policy.making import ENV

GOOD = shipped_policy("default").read_text("utf-8")
OTHER = GOOD.replace("0.35", "0.55")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(GOOD, "utf-8")
    return path


def test_a_changed_file_comes_into_use(file: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    before = watcher.current
    assert watcher.poll() is False and watcher.current is before
    file.write_text(OTHER, "utf-8")
    assert watcher.poll() is True
    assert watcher.current.digest != before.digest and watcher.error is None
    assert before.routes["auto"].rules[2].condition.source == "complexity < 0.35"


def test_a_change_of_the_same_size_and_time_is_not_missed(file: Path) -> None:
    stat = file.stat()
    watcher = PolicyWatcher(file, ENV)
    file.write_text(OTHER, "utf-8")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size and file.stat().st_mtime_ns == stat.st_mtime_ns
    assert watcher.poll() is True


@pytest.mark.parametrize(
    "bad", [GOOD[: len(GOOD) // 2], "", "version: 1", GOOD.replace("use: small", "use: nobody"), "\x00"]
)
def test_a_bad_file_keeps_the_old_policy_and_says_why(file: Path, bad: str) -> None:
    watcher = PolicyWatcher(file, ENV)
    before = watcher.current
    file.write_text(bad, "utf-8")
    assert watcher.poll() is False
    assert watcher.current is before and isinstance(watcher.error, PolicyError)
    assert str(file) in str(watcher.error)
    assert watcher.poll() is False and watcher.error is not None
    file.write_text(OTHER, "utf-8")
    assert watcher.poll() is True and watcher.error is None


def test_a_file_that_is_put_back_clears_the_error(file: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    digest = watcher.current.digest
    file.write_text("half writ", "utf-8")
    watcher.poll()
    file.write_text(GOOD, "utf-8")
    watcher.poll()
    assert watcher.error is None and watcher.current.digest == digest


def test_a_deleted_file_keeps_the_old_policy_until_it_is_back(file: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    before = watcher.current
    file.unlink()
    assert watcher.poll() is False and watcher.current is before
    assert watcher.error is not None and "cannot be read" in watcher.error.message
    file.write_text(GOOD, "utf-8")
    watcher.poll()
    assert watcher.error is None and watcher.current.digest == before.digest


def test_a_file_replaced_by_renaming_is_seen(file: Path, tmp_path: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    (tmp_path / "new").write_text(OTHER, "utf-8")
    (tmp_path / "new").replace(file)
    assert watcher.poll() is True


def test_a_new_key_in_the_file_comes_into_use_though_the_digest_stays(file: Path) -> None:
    file.write_text(GOOD.replace("${ANTHROPIC_API_KEY}", "first"), "utf-8")
    watcher = PolicyWatcher(file, ENV)
    digest = watcher.current.digest
    file.write_text(GOOD.replace("${ANTHROPIC_API_KEY}", "second"), "utf-8")
    assert watcher.poll() is True
    assert watcher.current.models["large"].api_key == "second" and watcher.current.digest == digest


def test_a_start_with_a_bad_file_is_refused(file: Path) -> None:
    file.write_text("version: 9", "utf-8")
    with pytest.raises(PolicyError, match="reads `version: 1`"):
        PolicyWatcher(file, ENV)


async def test_running_watches_until_cancelled_and_tells_of_each_change(file: Path) -> None:
    watcher = PolicyWatcher(file, ENV)
    told: asyncio.Queue[str] = asyncio.Queue()

    def write(text: str) -> None:
        file.write_text(text, "utf-8")

    task = asyncio.create_task(watcher.run(0.01, lambda policy: told.put_nowait(policy.digest)))
    write(OTHER)
    assert await asyncio.wait_for(told.get(), 10) == watcher.current.digest
    write("broken: [")
    await asyncio.sleep(0.1)
    assert told.empty()
    write(GOOD)
    assert await asyncio.wait_for(told.get(), 10) == watcher.current.digest
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
