"""`signalbox serve`: settings, a policy (given, or built from what is found), and the server around the app."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from router.access.admin import check_exposure
from router.cli.output import errors_as_exit, note
from router.errors import ConfigError, SettingsError, StoreAway
from router.settings import Settings, read_settings


def serve(
    policy: Annotated[Path | None, typer.Option(help="Policy file; one is built where none is given.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)] = None,
    workers: Annotated[int, typer.Option(help="Processes; more than one needs Redis.", min=1, max=64)] = 1,
    insecure: Annotated[bool, typer.Option(help="Listen off loopback without keys.")] = False,
) -> None:
    """Run the gateway."""
    with errors_as_exit(ConfigError):
        settings = read_settings(policy=policy, host=host, port=port)
        _check(settings, workers, insecure)
        settings = _with_policy(settings)
        asyncio.run(_check_database(settings.store_url))
    _run(settings, workers)


def _check(settings: Settings, workers: int, insecure: bool) -> None:
    from router.telemetry.export import wanted_signals

    check_exposure(
        settings.host,
        has_keys=settings.api_keys is not None or settings.keys_file is not None,
        has_admin_key=settings.admin_key is not None,
        insecure=insecure,
    )
    wanted_signals(os.environ)
    if workers > 1 and settings.redis_url is None:
        raise SettingsError("More than one worker needs SIGNALBOX_REDIS_URL, so that they share cache and state.")


def _with_policy(settings: Settings) -> Settings:
    """Settings whose `policy` is a file that loads; one is built and kept in the data folder where none is given."""
    from router.policy.discover import discover
    from router.policy.load import load_policy

    if settings.policy is None:
        found = discover(os.environ)
        path = settings.data_dir / "policy.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found.text, "utf-8")
        note("No policy was given; this one was built from what was found:")
        for where in found.found:
            note(f"  - {where}")
        note(f"It is kept in {path}; save it elsewhere to change it, and pass it with --policy.\n")
        note(found.text)
        settings = settings.model_copy(update={"policy": path})
    assert settings.policy is not None
    load_policy(settings.policy, os.environ)
    return settings


async def _check_database(url: str) -> None:
    """Raises StoreError for a foreign or newer database, which the server could only tell with a traceback.

    One that is away is no reason not to start: the gateway waits for it.
    """
    from router.ledger.store import SqlStore

    store = SqlStore(url)
    try:
        await store.open()
    except StoreAway:
        pass
    finally:
        await store.aclose()


def _run(settings: Settings, workers: int) -> None:
    import uvicorn

    from router.api.connection import BoundedConnection
    from router.telemetry import set_up_logging

    set_up_logging(settings.log_level, settings.log_format)
    _open_as_many_files_as_allowed()
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": BoundedConnection,
        "ws": "none",  # nothing here speaks it, and an upgrade would pass by the admin's door
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": max(1, round(settings.grace_seconds)),
    }
    if workers == 1:
        from router.app import calm_collector, create_app

        with errors_as_exit(ConfigError):
            app = create_app(settings)
        calm_collector()
        uvicorn.run(app, **options)
    else:
        with TemporaryDirectory(prefix="signalbox-metrics-") as folder:
            settings = settings.model_copy(update={"metrics_dir": Path(folder)})
            os.environ.update(settings.as_environment())
            uvicorn.run("router.app:from_environment", factory=True, workers=workers, **options)


def _open_as_many_files_as_allowed() -> None:
    """Raises the soft limit of open files to the hard one, for workers too: each request in flight takes two sockets,
    and most systems begin at 1,024 only for the sake of programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS says "unlimited" and does not mean it
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
