"""The control plane's door: an admin key where one is set, else loopback only."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from http.cookies import CookieError, SimpleCookie

from starlette.types import Scope

from router.access.patience import Patience
from router.errors import Forbidden, NotAuthenticated, RateLimited, RequestError, SettingsError

COOKIE = "signalbox_session"
SESSION_SECONDS = 12 * 3600
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class AdminDoor:
    """Lets administrators in. With a key: by `Authorization: Bearer`, or by a session cookie made from it.

    Wrong keys are answered late, wherever they are shown. A session is no key to guess and never waits.
    """

    def __init__(self, admin_key: str | None, patience: Patience | None = None):
        self._key = admin_key.encode() if admin_key else None
        self._patience = patience or Patience()
        self._signing = hashlib.sha256(b"signalbox session " + (self._key or secrets.token_bytes(32))).digest()

    @property
    def asks_for_key(self) -> bool:
        """Is a key set?"""
        return self._key is not None

    async def refusal(self, scope: Scope) -> RequestError | None:
        """Why this request may not enter; None where it may."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        address = client[0] if client else ""
        if self._key is None:
            if _is_loopback(address) and _names_loopback(headers.get(b"host", "")):
                return None
            return Forbidden("Without an admin key the control plane answers only on loopback.")
        if self._is_session(headers.get(b"cookie", "")):
            return None
        scheme, _, secret = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and secret.strip():
            return await self.try_key(secret.strip(), address)
        return NotAuthenticated("The control plane asks for the admin key: `Authorization: Bearer KEY`.")

    async def try_key(self, key: str, address: str) -> RequestError | None:
        """What is wrong with a key that was shown from this address: None for the admin key, NotAuthenticated after a
        wait for a wrong one, RateLimited for one that was not read or not waited for."""
        if not self._patience.is_spent(address):
            if self._knows(key):
                return None
            if await self._patience.wait(address):
                return NotAuthenticated("That is not the admin key.")
        return RateLimited("Too many wrong keys at once. Try again in a second.")

    def _knows(self, key: str) -> bool:
        """Is this the admin key? Compared in constant time."""
        return self._key is not None and hmac.compare_digest(key.encode("utf-8", "replace"), self._key)

    def new_session(self) -> str:
        """A cookie value that opens the door for twelve hours; it holds no part of the key."""
        expires = str(int(time.time()) + SESSION_SECONDS)
        return f"{expires}.{self._sign(expires)}"

    def _is_session(self, cookie_header: str) -> bool:
        try:
            morsel = SimpleCookie(cookie_header).get(COOKIE)
        except CookieError:
            return False
        expires, _, signature = (morsel.value if morsel else "").partition(".")
        if not expires.isdecimal() or not hmac.compare_digest(signature.encode(), self._sign(expires).encode()):
            return False
        return int(expires) > time.time()

    def _sign(self, text: str) -> str:
        return hmac.new(self._signing, text.encode(), hashlib.sha256).hexdigest()


def check_exposure(host: str, *, has_keys: bool, has_admin_key: bool, insecure: bool) -> None:
    """Refuses to listen off loopback without keys: whoever reaches the port could spend the operator's money."""
    if insecure or _is_loopback(host) or host == "localhost" or (has_keys and has_admin_key):
        return
    needed = {"SIGNALBOX_API_KEYS or SIGNALBOX_KEYS_FILE": has_keys, "SIGNALBOX_ADMIN_KEY": has_admin_key}
    missing = [name for name, there in needed.items() if not there]
    raise SettingsError(
        f"Listening on {host} lets others reach the gateway: set {' and '.join(missing)}, or pass --insecure."
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _names_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") and host.count(":") != 0 else host
    return name.lower() in _LOOPBACK_NAMES or _is_loopback(name)
