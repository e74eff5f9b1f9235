"""The cache that keeps nothing: so that off is an object, and no caller asks whether there is a cache."""

from __future__ import annotations

from router.cache.contract import CachedAnswer


class NoCache:
    """Every get is a miss, every put is forgotten."""

    def __init__(self, secret: bytes = b"") -> None:
        self.secret = secret

    async def start(self) -> None:
        """Nothing to start."""

    async def get(self, key: bytes) -> CachedAnswer | None:
        """Always None."""
        return None

    async def put(self, key: bytes, answer: CachedAnswer, ttl_seconds: float) -> None:
        """Forgets the answer."""

    @property
    def shared(self) -> bool:
        """False: nothing leaves the process."""
        return False

    @property
    def state(self) -> str:
        """`off`."""
        return "off"

    async def aclose(self) -> None:
        """Nothing to close."""
