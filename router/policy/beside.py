"""A policy that another names beside itself: a canary, or a shadow. It is read again when its file changes.

What cannot be loaded never displaces anything: the last good one stays, or nobody stands beside, and `error` says why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import blake2b, sha256
from pathlib import Path

from router.errors import PolicyError
from router.policy.compiled import Policy
from router.policy.load import decode, parse_policy

log = logging.getLogger(__name__)

_HASHES = float(2**64)


class Beside:
    """One such policy. kind: `canary` or `shadow`, for what it says.

    current: the last good one; None where none is named, or none was ever good. error: why the file as it is now is not
    in use.
    """

    def __init__(self, kind: str, env: Mapping[str, str]):
        self.kind = kind
        self.current: Policy | None = None
        self.error: PolicyError | None = None
        self._env = env
        self._file: Path | None = None
        self._seen: bytes | None = None

    def follow(self, file: Path | None) -> bool:
        """Looks at the file that is named now, if one is; True where another policy came into use. Never raises."""
        if file != self._file:
            changed = self.current is not None
            self._file, self._seen, self.current, self.error = file, None, None, None
            return (file is not None and self._look(file)) or changed
        return file is not None and self._look(file)

    def _look(self, file: Path) -> bool:
        try:
            raw = file.read_bytes()
        except OSError as error:
            self._fails(PolicyError(f"cannot be read: {error.strerror}", file=str(file)))
            self._seen = None
            return False
        digest = sha256(raw).digest()
        if digest == self._seen:
            return False
        self._seen = digest
        try:
            policy = load_beside(raw, file, self._env, self.kind)
        except PolicyError as error:
            self._fails(error)
            return False
        self.current, self.error = policy, None
        log.info("%s policy %s", self.kind, policy.label)
        return True

    def _fails(self, error: PolicyError) -> None:
        if str(error) != str(self.error):
            kept = "kept" if self.current is not None else "left out"
            log.warning("%s policy %s: %s", self.kind, kept, error)
        self.error = error


def load_beside(raw: bytes, file: Path, env: Mapping[str, str], kind: str) -> Policy:
    """A policy that is to stand beside another. Raises PolicyError, also where it names one itself: no chains."""
    policy = parse_policy(decode(raw, str(file)), file=str(file), env=env)
    for key, named in (("canary", policy.canary), ("shadow", policy.shadow)):
        if named is not None:
            raise PolicyError(f"it is a {kind} itself, so it may name no `{key}`: take that out", file=str(file))
    return policy


def in_share(tenant: str, conversation: str, share: float) -> bool:
    """Whether a conversation falls into a share of them all: always the same answer, and a larger share keeps those."""
    digest = blake2b(f"{tenant}\0{conversation}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _HASHES < share
