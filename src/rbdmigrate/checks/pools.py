"""Pools and namespaces: whether they exist and can hold images."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EINVAL, ENOENT

from ..model.finding import Severity
from .facts import Facts
from .registry import ALL, IMAGE_METHODS, Found, check


@check(
    "POOL_MISSING",
    Severity.ERROR,
    "A pool of the source, of the target, for its data or its journal does not exist.",
    methods=ALL,
    errno=ENOENT,
)
def missing(facts: Facts) -> Iterator[Found]:
    """Yield pools that do not exist."""
    for name in facts.request.pools:
        if facts.pools.get(name) is None:
            yield Found(
                name,
                f"The pool {name!r} does not exist; `ceph osd lspools` lists those that do.",
                f"ceph osd pool create {name} && rbd pool init {name}",
            )


@check(
    "NAMESPACE_MISSING",
    Severity.ERROR,
    "The pool does not have the RBD namespace of the source or target.",
    methods=ALL,
    errno=ENOENT,
)
def namespace_missing(facts: Facts) -> Iterator[Found]:
    """Yield namespaces that do not exist."""
    for pool, namespace in sorted(facts.missing_namespaces):
        yield Found(
            f"{pool}/{namespace}",
            f"The pool {pool!r} has no namespace {namespace!r}; create it with "
            f"`rbd namespace create {pool}/{namespace}`.",
            f"rbd namespace create {pool}/{namespace}",
        )


@check(
    "POOL_ERASURE_CODED",
    Severity.ERROR,
    "The target's pool is erasure coded and holds no omap: it can take data, not a header.",
    methods=ALL,
    errno=EINVAL,
    untested="such a pool does not answer on a test cluster with one OSD",
)
def erasure(facts: Facts) -> Iterator[Found]:
    """Yield a target pool without omap."""
    pool = facts.pools.get(facts.request.target.pool)
    if pool is not None and not pool.omap:
        yield Found(
            pool.name,
            f"The pool {pool.name} is erasure coded and cannot hold an image's header; take a "
            f"replicated one for the target and give `--data-pool {pool.name}`.",
            f"--data-pool {pool.name}",
        )


@check(
    "DATA_POOL_NO_OVERWRITES",
    Severity.ERROR,
    "The pool for the target's data is erasure coded and does not allow overwrites.",
    methods=ALL,
    errno=EINVAL,
    untested="such a pool does not answer on a test cluster with one OSD",
)
def overwrites(facts: Facts) -> Iterator[Found]:
    """Yield an erasure-coded data pool that does not allow overwrites."""
    pool = facts.pools.get(facts.request.data_pool)
    if pool is None or not pool.erasure or pool.overwrites:
        return
    if pool.omap or facts.request.layout.data_pool:  # otherwise refused for another reason
        command = f"ceph osd pool set {pool.name} allow_ec_overwrites true"
        yield Found(
            pool.name,
            f"The pool {pool.name} does not allow overwrites, which images need; "
            f"`{command}` allows them.",
            command,
        )


@check(
    "DATA_POOL_LOST",
    Severity.WARNING,
    "The source has a data pool of its own, and no data pool is given for the target.",
    methods=IMAGE_METHODS,
)
def data_pool_lost(facts: Facts) -> Iterator[Found]:
    """Yield the source's data pool, which librbd does not keep."""
    kept, request = facts.image.data_pool if facts.image is not None else "", facts.request
    if kept and not request.layout.data_pool and kept != request.target.pool:
        yield Found(
            str(request.source),
            f"Its data are in the pool {kept}, and those of the target will be in "
            f"{request.target.pool} with its header; `--data-pool {kept}` keeps them where they "
            "are.",
            f"--data-pool {kept}",
        )


@check(
    "POOL_NO_RBD_APPLICATION",
    Severity.WARNING,
    "A pool is not initialised for RBD.",
    methods=ALL,
)
def application(facts: Facts) -> Iterator[Found]:
    """Yield pools without the application ``rbd``, where the module ignores records."""
    for name in facts.request.pools:
        pool = facts.pools.get(name)
        if pool is not None and not pool.application:
            yield Found(
                name,
                f"The pool {name} does not have the application rbd, so its migrations are not "
                "found again after a change of the manager.",
                f"rbd pool init {name}",
            )
