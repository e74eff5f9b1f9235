"""Keeps the policy in use the same as its file, without a restart. Bad new policies never displace good ones.

Half-written, deleted and put-back files are ordinary here: what cannot be loaded leaves the old policy in place and its
reason in `error`, and the next look tries again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from router.errors import PolicyError
from router.policy.beside import Beside, in_share
from router.policy.compiled import Policy
from router.policy.load import decode, parse_policy

log = logging.getLogger(__name__)


class PolicyWatcher:
    """Holds the policy in use. Raises PolicyError at once when the file cannot be loaded at the start.

    current: the last good policy, exchanged by one assignment; whoever took it keeps their snapshot.
    error: why the file as it is now is not in use; None while it is. canary, shadow: those that `current` names.
    """

    def __init__(self, path: str | os.PathLike[str], env: Mapping[str, str] = os.environ):
        self.path = Path(path)
        self._env = env
        raw = self._read()
        self.current: Policy = self._load(raw)
        self.error: PolicyError | None = None
        self.reloads = self.refusals = 0
        """How often another policy came into use, and how often what the file had become could not be used."""
        self._seen: bytes | None = _digest(raw)
        self.canary, self.shadow = Beside("canary", env), Beside("shadow", env)
        self._look_beside()

    def shadow_of(self, policy: Policy) -> Policy | None:
        """The policy that decides beside one that rules; a canary has none."""
        return self.shadow.current if policy is self.current else None

    def ruling(self, requested: str, tenant: str, conversation: str) -> Policy:
        """The policy that rules over a conversation: the canary over its share, where it knows what is asked for."""
        policy, trial = self.current, self.canary.current
        if trial is None or policy.canary is None or not in_share(tenant, conversation, policy.canary.share):
            return policy
        return trial if requested in trial.routes or requested in trial.models else policy

    def told_canary(self, ruled: Policy) -> dict[str, Any]:
        """For explanations: which canary there is, over what share, and whether it ruled; empty where there is none."""
        if self.current.canary is None or self.canary.current is None:
            return {}
        share, trial = self.current.canary.share, self.canary.current
        return {"canary": {"policy": trial.label, "share": share, "rules": ruled is trial}}

    @property
    def notes(self) -> list[str]:
        """What is wrong with the policies beside this one; it serves all the same."""
        return [f"{one.kind}: {one.error}" for one in (self.canary, self.shadow) if one.error is not None]

    @property
    def called(self) -> tuple[Policy, ...]:
        """The policies whose models may be called: the main one and the canary."""
        return (self.current, *([self.canary.current] if self.canary.current is not None else []))

    @property
    def in_use(self) -> tuple[Policy, ...]:
        """The policies that decide anything, the main one first."""
        beside = (self.canary.current, self.shadow.current)
        return (self.current, *(policy for policy in beside if policy is not None))

    def poll(self) -> bool:
        """Looks at the file once, and at those it names; True where another policy came into use. Never raises."""
        changed = self._poll()
        return self._look_beside() or changed

    def _look_beside(self) -> bool:
        policy, folder = self.current, self.path.parent
        canary = self.canary.follow(None if policy.canary is None else folder / policy.canary.file)
        shadow = self.shadow.follow(None if policy.shadow is None else folder / policy.shadow)
        return canary or shadow

    def _poll(self) -> bool:
        """Looks at the main file once.

        The content is read and hashed each time (a policy is small, and times and sizes can miss a change); only other
        bytes are loaded.
        """
        try:
            raw = self._read()
        except PolicyError as error:
            if self._seen is not None or str(error) != str(self.error):
                log.warning("policy kept: %s", error)
                self.refusals += 1
            self._seen, self.error = None, error
            return False
        digest = _digest(raw)
        if digest == self._seen:
            return False
        self._seen = digest
        try:
            policy = self._load(raw)
        except PolicyError as error:
            log.warning("policy kept: %s", error)
            self.error = error
            self.refusals += 1
            return False
        before, self.current, self.error = self.current, policy, None
        self.reloads += 1
        log.info("policy %s follows %s", policy.label, before.label)
        return True

    async def run(self, interval: float = 1.0, on_change: Callable[[Policy], None] | None = None) -> None:
        """Looks at the file every `interval` seconds until cancelled; calls `on_change` with each new policy.

        Reading and loading happen beside the event loop, so that no request waits for them.
        """
        while True:
            await asyncio.sleep(interval)
            changed = await asyncio.to_thread(self.poll)
            if changed and on_change is not None:
                on_change(self.current)

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise PolicyError(f"cannot be read: {error.strerror}", file=str(self.path)) from None

    def _load(self, raw: bytes) -> Policy:
        return parse_policy(decode(raw, str(self.path)), file=str(self.path), env=self._env)


def _digest(raw: bytes) -> bytes:
    return sha256(raw).digest()
