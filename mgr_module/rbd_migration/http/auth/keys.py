"""API keys of the module's own server. Only their hashes are kept, in the monitors' key store."""

import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from datetime import datetime, timezone
from errno import EEXIST, EINVAL, ENOENT
from typing import Any, Dict, List, Optional

from rbdmigrate.model.errors import MigrationError

from .caller import Caller

PREFIX = "rbdm_"
ROLES = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "create", "update", "delete"}),
}
_STORE = "api_key/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# scrypt: 4 MiB and some 10 ms a check. Secrets are random, so a dictionary attack is hopeless.
_N, _R, _P = 1 << 12, 8, 1
_REMEMBERED = 256  # keys that are cached, so that not every request costs a hash


class ApiKeys:
    """Creates, lists, removes and checks API keys of the manager module ``module``. Thread-safe."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._known: Dict[bytes, str] = {}  # digest of a valid key -> its id

    def create(self, name: str, role: str) -> Dict[str, Any]:
        """Create a key and return it with its text, which is not stored. Raises MigrationError."""
        if not _NAME.fullmatch(name):
            raise MigrationError(
                EINVAL,
                f"The name {name[:80]!r} is invalid; use up to 64 letters, digits, dots, dashes "
                "and underscores.",
            )
        if role not in ROLES:
            raise MigrationError(
                EINVAL, f"--role {role!r} is not known; choose from {', '.join(ROLES)}."
            )
        with self._lock:
            if any(key["name"] == name for key in self._all()):
                raise MigrationError(
                    EEXIST,
                    f"There is a key {name} already; remove it with "
                    f"`ceph rbd migration api key rm {name}`, or choose another name.",
                )
            ident, secret, salt = secrets.token_hex(6), secrets.token_hex(32), secrets.token_hex(16)
            key = {
                "id": ident,
                "name": name,
                "role": role,
                "created": int(time.time()),
                "salt": salt,
                "hash": _hash(secret, salt),
            }
            self._module.set_store(_STORE + ident, json.dumps(key))
        return {**_shown(key), "key": f"{PREFIX}{ident}_{secret}"}

    def list(self) -> "List[Dict[str, Any]]":
        """Return all keys without their secrets."""
        return [_shown(key) for key in sorted(self._all(), key=lambda key: str(key["name"]))]

    def remove(self, name: str) -> Dict[str, Any]:
        """Revoke the key with this name or id immediately. Raises MigrationError(ENOENT)."""
        with self._lock:
            for key in self._all():
                if name in (key["name"], key["id"]):
                    self._module.set_store(_STORE + key["id"], None)
                    self._known.clear()
                    return _shown(key)
        raise MigrationError(
            ENOENT,
            f"There is no key {name[:80]!r}; `ceph rbd migration api key ls` lists the keys.",
        )

    def caller(self, text: str) -> Optional[Caller]:
        """Return the caller with this API key; None if it is not a valid one."""
        ident, _, secret = text[len(PREFIX) :].partition("_")
        if not text.startswith(PREFIX) or not re.fullmatch(r"[0-9a-f]{12}", ident):
            return None
        stored = self._module.get_store(_STORE + ident)
        if stored is None:
            return None
        key = json.loads(stored)
        digest = hashlib.sha256(text.encode(errors="replace")).digest()
        if self._known.get(digest) != ident:
            if not hmac.compare_digest(_hash(secret, key["salt"]), key["hash"]):
                return None
            with self._lock:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[digest] = ident
        return Caller(f"key {key['name']}", ROLES.get(key["role"], frozenset()))

    def _all(self) -> "List[Dict[str, Any]]":
        found = self._module.get_store_prefix(_STORE)
        return [json.loads(text) for text in found.values()]


def _hash(secret: str, salt: str) -> str:
    plain = secret.encode(errors="replace")
    return hashlib.scrypt(plain, salt=bytes.fromhex(salt), n=_N, r=_R, p=_P).hex()


def _shown(key: Dict[str, Any]) -> Dict[str, Any]:
    created = datetime.fromtimestamp(key["created"], timezone.utc)
    return {
        "id": key["id"],
        "name": key["name"],
        "role": key["role"],
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
