"""The addresses of a cluster's monitors, as ``mon_host`` of a Ceph configuration has them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADDRESS = re.compile(
    r"(?:(v1|v2):)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d{1,5}))?(?:/0)?"
)
_GROUP = re.compile(r"\[((?:v1|v2):[^\s;]*?(?:,(?:v1|v2):[^\s;]*?)*)\](?=[\s,;]|$)")
_SEPARATORS = re.compile(r"[\s,;]+")
_MOST = 32  # addresses


@dataclass(frozen=True)
class MonHost:
    """One address of a monitor. ``protocol`` is v1, v2, or empty for both; ``port`` 0: the usual.

    ``host`` is a name or an address, one of IPv6 without its brackets.
    """

    protocol: str
    host: str
    port: int

    def at(self, address: str) -> str:
        """The text for a configuration, with an IP address in place of the host."""
        place = f"[{address}]" if ":" in address else address
        port = f":{self.port}" if self.port else ""
        return f"{self.protocol}:{place}{port}" if self.protocol else f"{place}{port}"


def parse_mon_host(text: str) -> tuple[MonHost, ...]:
    """Return the addresses of a list with commas, semicolons or spaces. Raises ValueError.

    The message is the end of a sentence.
    """
    found = []
    for item in filter(None, _SEPARATORS.split(_GROUP.sub(r"\1", text))):
        match = _ADDRESS.fullmatch(item)
        if match is None:
            raise ValueError("is no list of addresses of monitors")
        port = int(match[3] or 0)
        if port > 65535 or match[3] == "0":
            raise ValueError("has a port that is none")
        found.append(MonHost(match[1] or "", match[2].strip("[]"), port))
    if not found:
        raise ValueError("names no monitor")
    if len(found) > _MOST:
        raise ValueError(f"has more than {_MOST} addresses")
    return tuple(found)
