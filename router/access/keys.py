"""API keys: from a bearer token to the caller behind it. Only hashes are kept, and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from router.domain import VERIFIER_TAG, Caller
from router.errors import NotAuthenticated, SettingsError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is kept. sha256: hex digest of the secret."""

    name: str
    tenant: str
    sha256: str
    tags: tuple[str, ...] = ()


def digest(secret: str) -> str:
    """How a secret is kept. Keys are long and random, so a plain hash is enough; no password is ever a key."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class KeyRing:
    """All keys in use. Without any, everybody is the tenant `default` (the gateway then stays on loopback)."""

    def __init__(self, keys: Iterable[Key] = (), *, file: Path | None = None):
        self._fixed = tuple(keys)
        self._file = file
        self._stamp: object = None
        self._by_digest: Mapping[str, tuple[str, Caller]] = {}
        self._take(self._fixed)
        if file is not None:
            self._stamp = _stamp(file)  # before the file is read: a change in between is then seen
            self._take((*self._fixed, *read_keys_file(file)))

    @property
    def open(self) -> bool:
        """Is nobody asked for a key?"""
        return not self._by_digest and self._file is None

    @property
    def callers(self) -> tuple[Caller, ...]:
        """Everybody there is a key for."""
        return (_ANYBODY,) if self.open else tuple(caller for _, caller in self._by_digest.values())

    def caller(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization` header. Raises NotAuthenticated."""
        if self.open:
            return _ANYBODY
        if not authorization:
            raise NotAuthenticated("No API key was given. Send it as `Authorization: Bearer KEY`.")
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise NotAuthenticated("The Authorization header must read `Bearer KEY`.")
        wanted = digest(secret.strip())
        # Only a digest is looked up, so what timing could tell is of no use; the compare is for good measure.
        found = self._by_digest.get(wanted)
        if found is None or not hmac.compare_digest(found[0], wanted):
            raise NotAuthenticated("The API key is not known here.")
        return found[1]

    def poll(self) -> None:
        """Re-reads the keys file if it changed; a broken file changes nothing and is logged."""
        if self._file is None or (stamp := _stamp(self._file)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take((*self._fixed, *read_keys_file(self._file)))
        except SettingsError as error:
            log.error("keys file not taken up, the keys read before stay in use: %s", error)

    def _take(self, keys: tuple[Key, ...]) -> None:
        self._by_digest = {key.sha256: (key.sha256, _caller_of(key)) for key in keys}


def _caller_of(key: Key) -> Caller:
    return Caller(key.tenant, key.name, key.tags, VERIFIER_TAG in key.tags)


_ANYBODY = Caller(verifies=True)


def keys_from_setting(text: str) -> tuple[Key, ...]:
    """Reads `tenant:key,tenant2:key2`. Raises SettingsError; no secret stands in its message."""
    keys: list[Key] = []
    for position, item in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        tenant, colon, secret = item.partition(":")
        if not (colon and tenant.strip() and secret.strip()):
            raise SettingsError(f"SIGNALBOX_API_KEYS: entry {position} must read tenant:key.")
        number = sum(1 for key in keys if key.tenant == tenant.strip()) + 1
        keys.append(Key(f"{tenant.strip()}-{number}", tenant.strip(), digest(secret.strip())))
    if len({key.sha256 for key in keys}) != len(keys):
        raise SettingsError("SIGNALBOX_API_KEYS: one key is given to two tenants.")
    return tuple(keys)


def read_keys_file(path: Path) -> tuple[Key, ...]:
    """Reads the YAML list of `{name, tenant, sha256, tags}`. Raises SettingsError naming the entry."""
    try:
        entries = YAML(typ="safe").load(path.read_text("utf-8")) or []
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read as a keys file ({type(error).__name__}).") from None
    if not isinstance(entries, list):
        raise SettingsError(f"{path}: must be a list of {{name, tenant, sha256, tags}}.")
    return tuple(_read_key(entry, f"{path}: entry {number}") for number, entry in enumerate(entries, start=1))


def write_keys_file(path: Path, keys: Iterable[Key]) -> None:
    """Writes the keys file whole, readable by its owner alone, by a rename so that nobody reads half of it."""
    entries = [{"name": k.name, "tenant": k.tenant, "sha256": k.sha256, "tags": list(k.tags)} for k in keys]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.touch(mode=0o600)
    with draft.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(entries, file)
    draft.replace(path)


def _read_key(entry: Any, where: str) -> Key:
    if not isinstance(entry, dict) or not set(entry) <= {"name", "tenant", "sha256", "tags"}:
        raise SettingsError(f"{where} must have name, tenant, sha256 and, if wanted, tags.")
    name, tenant, sha256, tags = (entry.get(part) for part in ("name", "tenant", "sha256", "tags"))
    if not (isinstance(name, str) and isinstance(tenant, str) and name and tenant):
        raise SettingsError(f"{where}: name and tenant must be texts.")
    if not (isinstance(sha256, str) and len(sha256) == 64 and not set(sha256.lower()) - set("0123456789abcdef")):
        raise SettingsError(f"{where}: sha256 must be 64 hex digits.")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise SettingsError(f"{where}: tags must be a list of texts.")
    return Key(name, tenant, sha256.lower(), tuple(tags or ()))


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
