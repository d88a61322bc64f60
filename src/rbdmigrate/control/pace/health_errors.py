"""The cluster's health errors that stop copies, and for which pools. Pure.

HEALTH_ERR by itself says nothing about storage: a dashboard that cannot bind its port raises it
too. So errors count by their codes; an administrator may choose others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from errno import EINVAL
from fnmatch import fnmatchcase

from ...model.errors import MigrationError
from ...model.health import HealthError

# Patterns of codes, and why copies wait for such an error. "!" excludes codes.
CONCERN_STORAGE = {
    "OSD_*": "OSDs are full, down or out of reach: writes would be refused or hang",
    "!OSD_SCRUB_ERRORS": "comes with PG_DAMAGED, which says in which pools",
    "PG_*": "placement groups are damaged, full or not available, in the pools it names",
    "OBJECT_*": "objects are lost, in the pools it names",
    "POOL_*": "pools are full or at their quota",
    "CACHE_POOL_*": "a cache tier is full",
    "MON_*": "monitors are about to stop, for want of space or of a common time",
    "SLOW_OPS": "operations hang",
    "BLUESTORE_*": "an OSD's store is damaged or full",
    "BLUEFS_*": "an OSD's database is full",
    "DEVICE_HEALTH*": "disks are about to fail",
}
_PATTERN = re.compile(r"!?[A-Z0-9_*?]+")
_PLACEMENT_GROUP = re.compile(r"pg (\d+)\.[0-9a-f]+ ")


def parse_error_codes(text: str, what: str) -> tuple[str, ...]:
    """Return the patterns of a comma-separated list; empty: none. Raises MigrationError(EINVAL)."""
    patterns = tuple(part.strip() for part in text.split(",") if part.strip())
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise MigrationError(
                EINVAL,
                f"{what} has {ascii(pattern)[:60]}; give codes of `ceph health detail` with commas "
                "between them, such as OSD_FULL or PG_*, and ! before one that does not count.",
            )
    return patterns


def concern_storage(
    errors: Iterable[HealthError], patterns: Iterable[str]
) -> tuple[HealthError, ...]:
    """Return the errors that match ``patterns``: codes with * and ?, excluded by ``!``."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]

    def concerns(code: str) -> bool:
        return any(fnmatchcase(code, pattern) for pattern in wanted) and not any(
            fnmatchcase(code, pattern) for pattern in unwanted
        )

    return tuple(error for error in errors if concerns(error.code))


def pools_of(details: Iterable[str]) -> frozenset[int]:
    """The ids of pools whose placement groups a check's details name; empty if a line names none.

    Ceph truncates long details; the line that says so names no placement group.
    """
    found = [_PLACEMENT_GROUP.match(detail) for detail in details]
    if not all(found):
        return frozenset()
    return frozenset(int(match[1]) for match in found if match is not None)
