"""Tokens of the dashboard, for users of the module's own server who are logged in there.

They are JSON Web Tokens, signed with HS256 and a secret in the monitors' key store. PyJWT cannot be
used: it imports ``cryptography``, which a second module of one manager cannot load.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import threading
import time
from typing import Any, Callable, Dict, FrozenSet, Optional

from .caller import Caller

log = logging.getLogger(__name__)

_ALL = frozenset({"read", "create", "update", "delete"})
# The dashboard's built-in roles with permissions for images; it does not store their permissions.
_SYSTEM_ROLES = {"administrator": _ALL, "block-manager": _ALL, "read-only": frozenset({"read"})}
_SCOPE = "rbd-image"
_FRESH = 5.0  # seconds after which users and revoked tokens are read again
_USABLE = 60.0  # seconds for which the last values are used while they cannot be read
_SECRET, _REVOKED, _USERS = "jwt_secret", "jwt_token_block_list", "accessdb_v2"
_MOST = 8192  # characters of a token


class DashboardTokens:
    """Checks tokens. Thread-safe.

    ``read`` returns a value of the dashboard's store, None if there is none; it raises OSError when
    the monitors do not answer. One thread reads at a time. The others use the last values, or wait
    if there are no usable ones.
    """

    def __init__(
        self, read: Callable[[str], Optional[str]], now: Callable[[], float] = time.time
    ) -> None:
        self._read = read
        self._now = now
        self._reading = threading.Lock()
        self._store: Dict[str, Optional[str]] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")

    def caller(self, token: str) -> Optional[Caller]:
        """Return the user whose token this is; None if it is not valid, or no longer."""
        store = self._values()
        secret = store.get(_SECRET)
        if not secret:
            return None
        claims = decode(token, secret)
        if claims is None:
            return None
        try:
            if float(claims["exp"]) < self._now():
                return None
            if claims["jti"] in json.loads(store[_REVOKED] or "{}"):
                return None
            users = json.loads(store[_USERS] or "{}")
            user = users["users"][claims["username"]]
            if not user.get("enabled", True) or user.get("pwdUpdateRequired", False):
                return None
            if user["lastUpdate"] > claims["iat"]:
                return None
            expires = user.get("pwdExpirationDate")
            if expires is not None and expires < self._now():
                return None
            permissions = _permissions(user["roles"], users.get("roles", {}))
            return Caller(f"user {claims['username']}", permissions)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def _values(self) -> Dict[str, Optional[str]]:
        """Return the dashboard's values; an empty dict if the last ones are too old."""
        at = time.monotonic()
        if at - self._tried_at > _FRESH:
            usable = at - self._read_at < _USABLE
            if self._reading.acquire(blocking=not usable):
                try:
                    if self._tried_at < at - _FRESH:  # no other thread did in the meantime
                        self._refresh()
                finally:
                    self._reading.release()
        return self._store if time.monotonic() - self._read_at < _USABLE else {}

    def _refresh(self) -> None:
        try:
            found = {name: self._read(name) for name in (_SECRET, _REVOKED, _USERS)}
            self._store, self._read_at = found, time.monotonic()
        except OSError as error:
            log.warning("the dashboard's users cannot be read: %s", error)
        finally:
            self._tried_at = time.monotonic()


def decode(token: str, secret: str) -> Optional[Dict[str, Any]]:
    """Return the claims of a token that is signed with ``secret``; None otherwise."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _MOST:
        return None
    try:
        header = json.loads(_bytes(parts[0]))
        signature = _bytes(parts[2])
        claims = json.loads(_bytes(parts[1]))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(header, dict) or header.get("alg") != "HS256":
        return None
    signed = f"{parts[0]}.{parts[1]}".encode()
    wanted = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    if not hmac.compare_digest(signature, wanted) or not isinstance(claims, dict):
        return None
    return claims


def _bytes(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _permissions(names: Any, custom: Dict[str, Any]) -> FrozenSet[str]:
    found = set()
    for name in names:
        if name in custom:
            found |= set(custom[name].get("scopes_permissions", {}).get(_SCOPE, ()))
        else:
            found |= _SYSTEM_ROLES.get(name, frozenset())
    return frozenset(found & _ALL)
