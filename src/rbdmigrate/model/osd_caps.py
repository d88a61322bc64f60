"""The pools that the OSD capabilities of a client's key cover, read from their text.

The text is that of ``ceph auth get``: grants such as ``profile rbd pool=nvme`` or ``allow rwx
pool=hdd namespace=one``, separated by commas. The same from release 16 to 20.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Optional

_GRANT = re.compile(r"""(?:"[^"]*"|'[^']*'|[^,;"'])+""")
_VALUE = r"""\s*[\s=]\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))"""
_POOL = re.compile(rf"\bpool{_VALUE}")
_NAMESPACE = re.compile(rf"\bnamespace{_VALUE}")


class PoolPlace(NamedTuple):
    """A pool with one of its RBD namespaces ("": the default one)."""

    pool: str
    namespace: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True)
class Grant:
    """One grant. ``pool`` and ``namespace`` None: any. ``partial``: for some objects only."""

    text: str
    pool: Optional[str]
    namespace: Optional[str]
    partial: bool

    def covers(self, place: PoolPlace) -> bool:
        """Whether it covers all objects of a place; a grant for an application's tag may."""
        if self.partial or self.pool not in (None, place.pool):
            return False
        if self.namespace is None or not self.namespace.endswith("*"):
            return self.namespace in (None, place.namespace)
        return place.namespace.startswith(self.namespace[:-1])


def grants(osd: str) -> list[Grant]:
    """The grants of a text of OSD capabilities."""
    return [_grant(part.strip()) for part in _GRANT.findall(osd) if part.strip()]


def _grant(text: str) -> Grant:
    pool, namespace = (_value(pattern.search(text)) for pattern in (_POOL, _NAMESPACE))
    return Grant(text, pool, namespace, "object_prefix" in text)


def _value(found: Optional[re.Match[str]]) -> Optional[str]:
    return None if found is None else next(text for text in found.groups() if text is not None)


def covered(osd: str, place: PoolPlace) -> bool:
    """Whether a grant covers the place: by name, or because it is for every pool."""
    return any(grant.covers(place) for grant in grants(osd))


def named(osd: str, place: PoolPlace) -> list[Grant]:
    """The grants that cover the place and name its pool."""
    return [g for g in grants(osd) if g.pool is not None and g.covers(place)]


def may_use_images(osd: str, pool: str) -> bool:
    """Whether a key is meant for RBD images of a pool: by the profile, or by the pool's name."""
    return any(g.pool == pool or (g.pool is None and "profile rbd" in g.text) for g in grants(osd))
