"""Makes guessing the admin key slow: one account of wrong keys for every door that takes one.

A wrong key is answered late, and while an address has as many wrong keys waiting as it may, its next ones go unread.
Only who waits just now is remembered, and never more than so many addresses: where they are used up, further ones are
turned away for their wrong keys without a wait, but a right key of theirs is still read. So nobody's wrong keys keep
another's right one out.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter

WRONG_KEY_SECONDS = 0.5
WRONG_KEYS_AT_ONCE = 3
ADDRESSES_MOST = 1024


class Patience:
    """Wrong keys that wait, by client address. An IPv6 network of 64 bits, which is what one host is given, counts as
    one address; so do the clients of a proxy on this machine that says nothing of where they come from."""

    def __init__(
        self,
        seconds: float = WRONG_KEY_SECONDS,
        at_once: int = WRONG_KEYS_AT_ONCE,
        addresses_most: int = ADDRESSES_MOST,
    ):
        self._seconds, self._at_once, self._addresses_most = seconds, at_once, addresses_most
        self._waiting: Counter[str] = Counter()

    @property
    def addresses(self) -> int:
        """How many are remembered just now."""
        return len(self._waiting)

    def is_spent(self, address: str) -> bool:
        """Does this address have as many wrong keys waiting as it may?"""
        return self._waiting.get(_network(address), 0) >= self._at_once

    async def wait(self, address: str) -> bool:
        """Waits out one wrong key while other requests go on; False, at once, where there is no room to wait in."""
        network = _network(address)
        if self.is_spent(address) or (network not in self._waiting and len(self._waiting) >= self._addresses_most):
            return False
        self._waiting[network] += 1
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._waiting[network] -= 1
            if not self._waiting[network]:
                del self._waiting[network]
        return True


def _network(address: str) -> str:
    """What one guesser has for an address. Anything that is none stands for itself, within bounds."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
