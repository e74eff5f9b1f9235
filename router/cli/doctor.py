"""`signalbox doctor`: looks at everything the gateway would use, and says what is well and what to mend."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Literal

import typer

from router.cli.output import FOUND, JSON_OPTION, errors_as_exit, print_json
from router.errors import ConfigError, SettingsError
from router.settings import Settings, read_settings

Verdict = Literal["ok", "warning", "error"]

_REMEMBERED_SECONDS = 7 * 86_400.0
"""How long a gateway that was killed is worth a warning."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    part: str
    verdict: Verdict
    text: str


def doctor(as_json: bool = JSON_OPTION) -> None:
    """Check settings, policy, judge, database and Redis. A database that is there gets the current schema."""
    with errors_as_exit(ConfigError):
        settings = read_settings()
    findings = asyncio.run(_examine(settings))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"{finding.verdict:8} {finding.part:12} {finding.text}")
    if any(finding.verdict == "error" for finding in findings):
        raise typer.Exit(FOUND)


async def _examine(settings: Settings) -> list[Finding]:
    return [
        _checked("keys", lambda: _keys(settings)),
        _checked("policy", lambda: _policy(settings)),
        _checked("judge", lambda: _judge(settings)),
        await _reached("database", lambda: _database(settings)),
        await _reached("redis", lambda: _redis(settings)),
        _checked("runs", lambda: _runs(settings)),
    ]


def _checked(part: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except ConfigError as error:
        return Finding(part, "error", str(error))


async def _reached(part: str, look: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await look()
    except ConfigError as error:
        return Finding(part, "error", str(error))


def _keys(settings: Settings) -> Finding:
    from router.access.keys import keys_from_setting, read_keys_file

    keys = keys_from_setting(settings.api_keys.get_secret_value()) if settings.api_keys else ()
    if settings.keys_file:
        keys += read_keys_file(settings.keys_file)
    if not keys and settings.keys_file:
        return Finding("keys", "warning", f"no key is in {settings.keys_file} yet: nobody is let in")
    if not keys:
        return Finding("keys", "warning", "no API key is set: everybody who reaches the port is tenant `default`")
    tenants = {key.tenant for key in keys}
    return Finding("keys", "ok", f"{len(keys)} keys of {len(tenants)} tenants")


def _policy(settings: Settings) -> Finding:
    from router.cli.policy_beside import beside_faults
    from router.policy.discover import discover
    from router.policy.load import load_policy

    if settings.policy is None:
        found = discover(os.environ)
        return Finding("policy", "ok", "none is set; one would be built from " + "; ".join(found.found))
    policy = load_policy(settings.policy, os.environ)
    if faults := beside_faults(settings.policy, policy):
        return Finding("policy", "warning", f"{policy.label}: {'; '.join(faults)}")
    unpriced = [model.name for model in policy.models.values() if model.price is None]
    if unpriced:
        return Finding("policy", "warning", f"{policy.label}: no price is known of {', '.join(unpriced)}")
    return Finding(
        "policy", "ok", f"{policy.label}: {len(policy.routes)} routes, {len(policy.models)} models, all priced"
    )


def _judge(settings: Settings) -> Finding:
    from router.learning.uptake import load_judge

    return Finding("judge", "ok", load_judge(settings).name)


async def _database(settings: Settings) -> Finding:
    from router.ledger.registry import Registry
    from router.ledger.store import SqlStore

    if settings.database_url is None and not settings.data_dir.exists():
        return Finding("database", "ok", f"none yet: SQLite is made in {settings.data_dir} at the first start")
    store = SqlStore(settings.store_url)
    try:
        await store.open()
        current = await Registry(store).current()
    finally:
        await store.aclose()
    return Finding("database", "ok", f"reached; current artefact: {current[:12] if current else 'the one that ships'}")


async def _redis(settings: Settings) -> Finding:
    from router.cache.connect import connect_cache

    if settings.redis_url is None:
        return Finding("redis", "ok", "none is set: the cache stays in the process")
    cache = await connect_cache(settings)
    try:
        state = cache.state
    finally:
        await cache.aclose()
    if state != "ok":
        raise SettingsError("SIGNALBOX_REDIS_URL is set, but Redis does not answer.")
    return Finding("redis", "ok", "reached")


def _runs(settings: Settings) -> Finding:
    from router.ledger.runs import last_killed

    killed = last_killed(settings.data_dir)
    if killed is None or time.time() - killed.seen_unix > _REMEMBERED_SECONDS:
        return Finding("runs", "ok", "no gateway of this data folder was killed in the last seven days")
    return Finding("runs", "warning", str(killed))
