"""One thing that a look over a policy found: where it stands, what is the matter, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """at: the path in the file, as `router.policy.document` knows places. says: who and what. do: how to mend it."""

    at: Path
    says: str
    do: str

    def __str__(self) -> str:
        return f"{self.says}; {self.do}"
