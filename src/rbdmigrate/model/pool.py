"""A pool as the monitors describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Pool:
    """A pool. Bytes; a quota of 0 is none; ``max_avail`` None: not known.

    ``flags`` are those of the OSD map, such as ``nearfull``. ``omap``: it can hold omap, which the
    header of an image needs; erasure-coded pools only with a flag that releases after 20 have.
    """

    name: str
    application: bool = True
    erasure: bool = False
    omap: bool = True
    overwrites: bool = True
    flags: frozenset[str] = frozenset()
    quota_bytes: int = 0
    quota_objects: int = 0
    stored: int = 0
    objects: int = 0
    max_avail: Optional[int] = None
