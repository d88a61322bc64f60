"""The network of a client's address, and the networks that recently sent a valid key."""

import ipaddress
import threading
import time
from typing import Callable, Dict

_REMEMBERED = 600.0  # seconds after its last good key or token
_MOST = 1024  # networks


def network(address: str) -> str:
    """Return the address itself for IPv4, and its /64 for IPv6, because a host has many in it.

    A text that is not an address is returned unchanged.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
        return str(found.ipv4_mapped)
    return str(found)


class KnownNetworks:
    """The networks that sent a valid key or token in the last ten minutes. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._until: Dict[str, float] = {}

    def add(self, address: str) -> None:
        """Remember that a valid key or token came from this address."""
        at = self._now()
        with self._lock:
            if len(self._until) >= _MOST:
                self._until = {name: until for name, until in self._until.items() if until > at}
            if len(self._until) < _MOST:
                self._until[network(address)] = at + _REMEMBERED

    def __contains__(self, name: object) -> bool:
        """Whether ``name``, a result of :func:`network`, is one of them."""
        return isinstance(name, str) and self._until.get(name, float("-inf")) > self._now()
