"""What `policy check`, `policy explain` and `doctor` say of the policies that a policy names beside itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from router.errors import PolicyError
from router.policy.beside import in_share, load_beside
from router.policy.compiled import Policy


def beside_of(file: Path, policy: Policy) -> Iterator[tuple[str, Path]]:
    """(kind, file) of each that is named."""
    if policy.canary is not None:
        yield "canary", file.parent / policy.canary.file
    if policy.shadow is not None:
        yield "shadow", file.parent / policy.shadow


def beside_faults(file: Path, policy: Policy) -> list[str]:
    """What is wrong with them, each with its place."""
    faults = []
    for kind, path in beside_of(file, policy):
        try:
            _load(path, kind)
        except PolicyError as error:
            faults.append(f"the {kind} cannot be used: {error}")
    return faults


def canary_of(
    file: Path, policy: Policy, values: Mapping[str, Any], headers: Mapping[str, str], tenant: str
) -> dict[str, Any]:
    """Whether the canary would rule over the conversation that a body begins, as `POST /v1/route` says it; empty where
    there is none that can be used."""
    from router.body import Body
    from router.entry import conversation_of

    if policy.canary is None:
        return {}
    try:
        canary = _load(file.parent / policy.canary.file, "canary")
    except PolicyError:
        return {}
    conversation = conversation_of(Body("", dict(values), {}, 0), headers, tenant)
    knows = values["model"] in canary.routes or values["model"] in canary.models
    rules = knows and in_share(tenant, conversation, policy.canary.share)
    return {"canary": {"policy": canary.label, "share": policy.canary.share, "rules": rules}}


def _load(path: Path, kind: str) -> Policy:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(path)) from None
    return load_beside(raw, path, os.environ, kind)
