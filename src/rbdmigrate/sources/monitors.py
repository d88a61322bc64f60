"""The monitors of another cluster: their addresses, and why they cannot be used."""

from __future__ import annotations

from errno import EACCES, EINVAL, EIO, ENOENT, EPERM, ETIMEDOUT
from typing import Optional

from ..model.errors import errno_text
from ..model.import_policy import ImportPolicy
from ..model.mon_hosts import parse_mon_host
from .errors import SourceError
from .limits import Deadline, Limits
from .net import Rules, resolve, too_slow

_LIMITS = Limits(total=20)  # for the names of all monitors
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


def not_connected(mon_host: str, user: str, errno: int) -> SourceError:
    """The error for a RADOS client ``user`` that could not connect to the cluster."""
    label = f"The cluster at {parse_mon_host(mon_host)[0].host}"
    if errno == ETIMEDOUT:
        return too_slow(label)
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
