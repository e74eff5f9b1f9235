"""The stage of the demo: a temporary data folder, free ports, and the child processes, all ended whatever happens.

What runs on it is the caller's to say; what happens on it is `router.demo.story`'s.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from router.errors import SignalboxError

HOST = "127.0.0.1"
READY_SECONDS = 60.0
"""How long a child may take to answer; loading litellm takes some seconds on a small machine."""
STOP_SECONDS = 8.0


_UNWINDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StageError(SignalboxError):
    """A part of the demo could not be started, or a command of it failed."""


class Stage:
    """Children and their folder, as a context manager: leaving it stops every child by its pid, newest first."""

    def __init__(self, environ: Mapping[str, str]):
        """environ: what children inherit; our own settings are left out, so that the demo touches nothing real."""
        self._environ = {key: value for key, value in environ.items() if not key.startswith("SIGNALBOX_")}
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._logs: list[IO[bytes]] = []

    def __enter__(self) -> Stage:
        self.folder = Path(tempfile.mkdtemp(prefix="signalbox-demo-"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        children = [child for _, child in reversed(self._children)]
        try:
            for child in children:
                child.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for child in children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.1, deadline - time.monotonic()))
        finally:  # an impatient second Ctrl-C ends up here as well
            for child in children:
                child.kill()
                child.wait()
            for log in self._logs:
                log.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def environ(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment of a child: what we inherited, the data folder, and `extra`."""
        return {**self._environ, "SIGNALBOX_DATA_DIR": str(self.folder), **extra}

    def start(self, name: str, module: str, arguments: Sequence[str], extra: Mapping[str, str]) -> int:
        """Starts `python -m module arguments` in the background; its words go to `name.log`. Returns its pid."""
        log = (self.folder / f"{name}.log").open("wb")
        self._logs.append(log)
        with _undisturbed():  # or a child could be born that nobody knows of, and so nobody ends
            child = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self.folder,
                env=self.environ(extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C on the terminal is ours to handle; we end the children in order.
            )
            self._children.append((name, child))
        return child.pid

    def run(self, module: str, arguments: Sequence[str], extra: Mapping[str, str], seconds: float = 120.0) -> str:
        """Runs `python -m module arguments` to its end and returns its stdout. Raises StageError if it fails."""
        what = " ".join(("signalbox", *arguments))
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, *arguments],
                cwd=self.folder,
                env=self.environ(extra),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StageError(f"`{what}` did not end within {seconds:.0f} s") from error
        if done.returncode != 0:
            raise StageError(f"`{what}` ended with {done.returncode}: {_tail(done.stderr or done.stdout)}")
        return done.stdout.decode()

    def wait_until_ready(self, url: str) -> None:
        """Waits for a 200 at `url`. Raises StageError when a child ends first, or when it takes too long."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to our own loopback
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for name, child in self._children:
                if child.poll() is not None:
                    raise StageError(f"{name} ended with {child.returncode}: {self._said(name)}")
            try:
                with direct.open(url, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        newest = self._said(self._children[-1][0])
        raise StageError(f"{url} did not become ready within {READY_SECONDS:.0f} s: {newest}")

    def _said(self, name: str) -> str:
        return _tail((self.folder / f"{name}.log").read_bytes())


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def stop_on_terminate() -> None:
    """Makes SIGTERM, and the closing of the terminal, unwind the stack as Ctrl-C does: no child outlives us."""

    def unwind(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, unwind)
    signal.signal(signal.SIGHUP, unwind)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds back what would unwind the stack until the block is done; only a main thread is told of signals at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: told.append(number)) for number in _UNWINDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if told:
            raise KeyboardInterrupt


def clean_environ() -> Mapping[str, str]:
    """The environment of this process, with proxies told to leave the loopback alone."""
    return {**os.environ, "NO_PROXY": f"{HOST},localhost", "no_proxy": f"{HOST},localhost"}


def _tail(words: bytes) -> str:
    return " | ".join(words.decode(errors="replace").strip().splitlines()[-3:]) or "it said nothing"
