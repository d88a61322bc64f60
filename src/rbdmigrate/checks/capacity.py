"""Whether the data fit: free space after replication or erasure coding, quotas, full pools."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EDQUOT, ENOSPC
from typing import Optional

from ..model.finding import Severity
from ..model.pool import Pool
from ..model.source_image import SourceImage
from ..model.units import format_size
from .facts import Facts
from .registry import ALL, IMAGE_METHODS, Found, check

TIGHT = 0.8  # of the free space, from which on there is a warning


def _pool(facts: Facts) -> Optional[Pool]:
    return facts.pools.get(facts.request.data_pool)


@check(
    "POOL_FULL",
    Severity.ERROR,
    "The target's pool is full, or its quota is.",
    methods=ALL,
    errno=ENOSPC,
)
def full(facts: Facts) -> Iterator[Found]:
    """Yield full pools."""
    pool = _pool(facts)
    if pool is not None and pool.flags & {"full", "full_quota"}:
        yield Found(
            pool.name,
            f"The pool {pool.name} is full; nothing can be written to it until there is space.",
            f"ceph osd pool get-quota {pool.name}",
        )


@check(
    "NO_SPACE",
    Severity.ERROR,
    "The target's pool has less free space than the data to copy.",
    methods=ALL,
    errno=ENOSPC,
)
def space(facts: Facts) -> Iterator[Found]:
    """Yield pools with less free space than data to copy."""
    pool, to_copy = _pool(facts), facts.to_copy
    if pool is None or to_copy is None or pool.max_avail is None:
        return
    if to_copy > pool.max_avail:
        yield Found(
            pool.name,
            f"Up to {format_size(to_copy)} have to be copied, and the pool {pool.name} has "
            f"{format_size(pool.max_avail)} free; choose another pool or add OSDs.",
            "ceph df",
        )


@check(
    "QUOTA_BYTES",
    Severity.ERROR,
    "The data to copy exceeds the pool's quota of bytes.",
    methods=ALL,
    errno=EDQUOT,
)
def quota_bytes(facts: Facts) -> Iterator[Found]:
    """Yield quotas of bytes that the copy would exceed."""
    pool, to_copy = _pool(facts), facts.to_copy
    if pool is None or to_copy is None or not pool.quota_bytes:
        return
    left = max(0, pool.quota_bytes - pool.stored)
    if to_copy > left:
        yield Found(
            pool.name,
            f"Up to {format_size(to_copy)} have to be copied, and the quota of the pool "
            f"{pool.name} leaves {format_size(left)}; raise it with `ceph osd pool set-quota "
            f"{pool.name} max_bytes N`.",
            f"ceph osd pool set-quota {pool.name} max_bytes {pool.stored + to_copy}",
        )


@check(
    "QUOTA_OBJECTS",
    Severity.WARNING,
    "The target may need more objects than the pool's quota of objects leaves.",
    methods=ALL,
)
def quota_objects(facts: Facts) -> Iterator[Found]:
    """Yield quotas of objects that the copy may exceed."""
    pool, to_copy = _pool(facts), facts.to_copy
    if pool is None or to_copy is None or not pool.quota_objects:
        return
    size = facts.request.layout.object_size or (facts.image or SourceImage()).object_size
    needed, left = -(-to_copy // size), max(0, pool.quota_objects - pool.objects)
    if needed > left:
        yield Found(
            pool.name,
            f"About {needed} objects have to be created, and the quota of the pool {pool.name} "
            f"leaves {left}.",
            f"ceph osd pool set-quota {pool.name} max_objects {pool.objects + needed}",
        )


@check(
    "POOL_NEARFULL",
    Severity.WARNING,
    "The target's pool is near full.",
    methods=ALL,
)
def nearfull(facts: Facts) -> Iterator[Found]:
    """Yield pools that the OSD map flags as near full."""
    pool = _pool(facts)
    if pool is not None and pool.flags & {"nearfull", "backfillfull"}:
        yield Found(
            pool.name,
            f"The pool {pool.name} is near full; copies wait until that is over.",
            "ceph osd df",
        )


@check(
    "SPACE_TIGHT",
    Severity.WARNING,
    "The data to copy takes more than 80 % of the free space of the target's pool.",
    methods=ALL,
)
def tight(facts: Facts) -> Iterator[Found]:
    """Yield pools in which the copy leaves little space."""
    pool, to_copy = _pool(facts), facts.to_copy
    if pool is None or to_copy is None or pool.max_avail is None:
        return
    if TIGHT * pool.max_avail < to_copy <= pool.max_avail:
        yield Found(
            pool.name,
            f"Up to {format_size(to_copy)} have to be copied, and the pool {pool.name} has "
            f"no more than {format_size(pool.max_avail)} free.",
            "ceph df",
        )


@check(
    "BYTES_UNKNOWN",
    Severity.INFO,
    "The amount of data to copy is not known: the source is large and has no fast-diff.",
    methods=IMAGE_METHODS,
)
def unknown(facts: Facts) -> Iterator[Found]:
    """Yield a source whose data would take too long to count."""
    image = facts.image
    if image is not None and image.to_copy is None:
        yield Found(
            str(facts.request.source),
            "The amount of data to copy is not known, because counting it without the feature "
            "fast-diff would take long; it is counted before the copy begins.",
            f"rbd feature enable {facts.request.rbd_source} object-map fast-diff",
        )
