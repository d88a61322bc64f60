"""The monitors of another cluster: their addresses, and why they cannot be used."""

from __future__ import annotations

import base64
import binascii
from errno import EACCES, EINVAL, EIO, ENOENT, EPERM, ETIMEDOUT
from typing import Optional

from ..model.errors import errno_text
from ..model.import_policy import ImportPolicy
from ..model.mon_hosts import parse_mon_host
from .errors import SourceError
from .limits import Deadline, Limits
from .net import Rules, resolve, too_slow

_LIMITS = Limits(total=20)  # for the names of all monitors
_AES256K = 2  # the type of the keys of clusters that Ceph 20 made
_PORT = 3300  # names are resolved for it


def resolved_monitors(mon_host: str, policy: ImportPolicy) -> list[str]:
    """The monitors by addresses that are allowed, so that no name is resolved again.

    Names that lead nowhere are left out if others lead somewhere. Raises SourceError.
    """
    rules = Rules(policy, _LIMITS, Deadline(_LIMITS))
    found: list[str] = []
    failure: Optional[SourceError] = None
    for mon in parse_mon_host(mon_host):
        try:
            found += [mon.at(address) for address in resolve(mon.host, mon.port or _PORT, rules)]
        except SourceError as error:
            if error.errno == EPERM:
                raise
            failure = failure or error
    if failure is not None and not found:
        raise failure
    return list(dict.fromkeys(found))


def not_connected(mon_host: str, user: str, key: str, errno: int) -> SourceError:
    """The error for a RADOS client ``user`` that could not connect to the cluster with ``key``."""
    label = f"The cluster at {parse_mon_host(mon_host)[0].host}"
    if errno == ETIMEDOUT:
        return too_slow(label)
    if errno in (EINVAL, EIO) and _type_of(key) == _AES256K:
        return SourceError(
            "CLUSTER_KEY",
            EPERM,
            f"{label} has given {user} a key of a type that the Ceph release here does not know "
            '(AES256K); have it use AES, see "Another cluster" in the documentation of imports, '
            f"and give what `ceph auth rotate {user} --key_type aes` prints there.",
        )
    if errno in (EACCES, EPERM, ENOENT, EINVAL):
        return SourceError(
            "CLUSTER_KEY",
            EPERM,
            f"{label} does not accept the key as one of {user}; give what `ceph auth print-key "
            f"{user}` prints there.",
        )
    return SourceError(
        "HOST_UNREACHABLE",
        errno or EIO,
        f"{label} cannot be reached: {errno_text(errno)}.",
        transient=True,
    )


def _type_of(key: str) -> int:
    """The type of a key of Ceph: its first two bytes. 0 for what is none."""
    try:
        return int.from_bytes(base64.b64decode(key)[:2], "little")
    except (binascii.Error, ValueError):
        return 0
