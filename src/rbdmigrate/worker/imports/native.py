"""Native imports by the method ``live``: a snapshot of an RBD image becomes an image of its own.

It brings the content of that one snapshot, and clients use the target from the beginning. The
method ``copy`` (:mod:`.native_copy`) brings all older snapshots too.

librbd has a migration for that which must not be used: until it is executed the target shows the
snapshot, but what is copied, also by a client's first write to an object, is the source's head, on
16, 18 and 20. From a clone of the snapshot it copies the right bytes, and makes every hole of the
disk a full object of zeros (both measured, 16.2.15; see ``doc/design/recovery.rst``). So the target
is a clone of the snapshot, and executing it is to flatten it: the bytes are right at every moment,
holes stay holes, and clients use it meanwhile as they use any clone.

The target is marked in its metadata from the end of the prepare to the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from errno import EEXIST, ENOENT, EOPNOTSUPP
from typing import Any, NamedTuple, Optional

import rados
import rbd

from ...cluster import headers
from ...cluster.pools import open_ioctx, pool_name
from ...model.errors import MigrationError, PoolMissing
from ...model.finding import Finding, Severity
from ...model.image_ident import is_old_format
from ...model.inspection import Inspection
from ...model.layout import LayoutOptions
from ...model.migration import Place
from ...model.source_spec import SourceSpec
from ...sources.errors import SourceError
from ...sources.problems import of_error
from ..identity import renamed, require_same_image
from ..removal import remove_snapshots
from ..session import Session
from ..verify.extents import diff
from ..verify.image_views import open_view
from .other_cluster import SourceCluster


class Found(NamedTuple):
    """A native source as it was found: the image, and its snapshot. ``size`` in bytes."""

    place: Place
    snapshot: str
    snap_id: int
    size: int


def with_findings(spec: SourceSpec, look: Callable[[], Inspection]) -> Inspection:
    """What ``look`` tells of a source; what it raises is a finding."""
    try:
        return look()
    except SourceError as error:
        return Inspection(findings=(of_error(error, spec.label()),), transient=error.transient)
    except MigrationError as error:
        wrong = Finding("NATIVE_SOURCE", Severity.ERROR, spec.label(), str(error), "", error.errno)
        return Inspection(findings=(wrong,))


def inspect(session: Session, spec: SourceSpec) -> Inspection:
    """What the snapshot is; what forbids its import is a finding."""
    return with_findings(spec, lambda: _inspected(session, spec))


def _inspected(session: Session, spec: SourceSpec) -> Inspection:
    found = find(session, spec)
    with (
        session.open(found.place) as ioctx,
        open_view(ioctx, found.place.image_id, found.snapshot) as image,
    ):
        data = diff(image, None, (0, found.size), True, True)
    return Inspection(size=found.size, to_copy=sum(length for _, length in data))


def find(cluster: SourceCluster, spec: SourceSpec, *, in_trash: bool = False) -> Found:
    """The image and the snapshot of a source-spec. Raises MigrationError.

    ``in_trash``: an image that a user put into the trash is found too, by its id.
    """
    label, place = spec.label(), find_image(cluster, spec, in_trash=in_trash)
    with (
        cluster.open(place) as ioctx,
        rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image,
    ):
        for snapshot in image.list_snaps():
            if snapshot["name"] == spec.snap_name or snapshot["id"] == spec.snap_id:
                name = _usable(snapshot, label)
                return Found(place, name, int(snapshot["id"]), int(snapshot["size"]))
    raise MigrationError(
        ENOENT,
        f"The source {label} does not exist; `rbd snap ls {place.spec}` lists the snapshots.",
    )


def find_image(cluster: SourceCluster, spec: SourceSpec, *, in_trash: bool = False) -> Place:
    """The image of a source-spec. Raises MigrationError; ``in_trash`` as above."""
    if spec.cluster_name is not None:  # refused before; ``cluster`` is not the one that it names
        raise MigrationError(EOPNOTSUPP, f"{spec.label()} is in another cluster.")
    try:
        pool = spec.pool_name
        if pool is None:
            pool = pool_name(cluster.rados, spec.pool_id or 0)
        opened = open_ioctx(cluster.rados, pool, spec.pool_namespace or "")
    except PoolMissing as error:
        if not spec.elsewhere:
            raise
        raise MigrationError(
            ENOENT, f"The source {spec.label()} does not exist: that cluster has no such pool."
        ) from error
    with opened as ioctx:
        name, ident = _image(ioctx, spec, in_trash=in_trash)
        return Place(pool, spec.pool_namespace or "", name, int(ioctx.get_pool_id()), ident)


def _image(ioctx: rados.Ioctx, spec: SourceSpec, *, in_trash: bool) -> tuple[str, str]:
    """Name and id of the image."""
    label = spec.label()
    name = spec.image_name or ""
    if spec.image_id is not None:
        view = headers.view_by_id(ioctx, spec.image_id)
        trashed = view is not None and (
            view.trashed_by_user or (view.trashed and view.header is None)
        )
        if trashed and not in_trash:
            pool = "/".join(filter(None, (ioctx.get_pool_name(), ioctx.get_namespace())))
            raise MigrationError(
                EOPNOTSUPP,
                f"The image of the source {label} is in the trash, where librbd cannot clone its "
                "snapshots; use --method copy, or restore it with "
                f"`rbd trash restore {pool}/{spec.image_id}`.",
            )
        ident, name = (spec.image_id, view.name) if view is not None else (None, name)
    else:
        ident = headers.image_id(ioctx, name)
    if ident is None:
        raise MigrationError(ENOENT, f"The image of the source {label} does not exist.")
    if is_old_format(ident):
        raise MigrationError(
            EOPNOTSUPP,
            f"The image of the source {label} is of format 1, whose snapshots cannot be imported; "
            "migrate the image itself, without --import-only.",
        )
    if headers.migration_header(ioctx, ident) is not None:
        raise MigrationError(
            EOPNOTSUPP,
            f"The image of the source {label} is migrating; commit or abort that first.",
        )
    return name, ident


def _usable(snapshot: dict[str, Any], label: str) -> str:
    if snapshot["namespace"] != rbd.RBD_SNAP_NAMESPACE_TYPE_USER:
        raise MigrationError(
            EOPNOTSUPP,
            f"The snapshot of the source {label} was made by Ceph for a group, for mirroring or "
            "in its trash; take one of your own with `rbd snap create`.",
        )
    return str(snapshot["name"])


def prepare(
    session: Session,
    spec: SourceSpec,
    target: Place,
    layout: LayoutOptions,
    features: Optional[int],
    ident: str,
) -> None:
    """Make the target a clone of the snapshot, and mark it."""
    found = find(session, spec)
    with session.open(target) as ioctx:
        if headers.image_id(ioctx, target.image) is not None:
            raise MigrationError(EEXIST, f"The target {target.spec} exists already.")
        with session.open(found.place) as source:
            require_same_image(source, found.place)
        session.c_client.clone(found.place, found.snapshot, target, layout, features)
        made = headers.image_id(ioctx, target.image) or ""
        parent = headers.parent(ioctx, made)
        if parent is None or parent.image_id != found.place.image_id:
            raise renamed(found.place)  # what was made has no mark: it is removed as half-made
        with rbd.Image(ioctx, image_id=made) as image:
            image.metadata_set(headers.IMPORT_KEY, ident)


def execute(ioctx: rados.Ioctx, target: Place, on_progress: Callable[[int, int], int]) -> None:
    """Copy what the target still reads from the snapshot."""
    if headers.parent(ioctx, target.image_id) is None:
        return
    with rbd.Image(ioctx, image_id=target.image_id) as image:
        image.flatten(on_progress=on_progress)


def remove(
    session: Session,
    ioctx: rados.Ioctx,
    name: str,
    ident: str,
    on_progress: Callable[[int, int], int],
) -> None:
    """Remove an image with its snapshots, also one that was made or removed in part.

    Raises ``rbd.ImageBusy`` when somebody has it open or a snapshot has clones.
    """
    with suppress(rbd.ImageNotFound):
        remove_snapshots(session, ioctx, name, ident)
        session.rbd.remove(ioctx, name, on_progress=on_progress)
