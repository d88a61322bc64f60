"""The source of a migration by the method ``warm`` that is an image of another cluster.

A worker connects to that cluster for one job, as the client that the source-spec names. Clients go
on with the image meanwhile, so that client needs write access: it takes snapshots, and for the
cutover the exclusive lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from errno import EINVAL, ENOENT, EPERM
from typing import Optional

import rados
import rbd

from ...cluster import clones, headers, surgery
from ...cluster.client import error_number, fencing_addresses
from ...cluster.fence import UNKNOWN, fence
from ...model.errors import MigrationError
from ...model.import_policy import ImportPolicy
from ...model.import_source import ImageIdentity
from ...model.inspection import Inspection, SnapshotInfo
from ...model.jobs.acts import (
    Abort,
    Act,
    CutOver,
    Execute,
    Prepare,
    ReverseRound,
    WarmEnds,
)
from ...model.migration import Place
from ...model.mon_hosts import parse_mon_host
from ...model.source_image import SourceImage
from ...model.source_spec import SourceSpec
from ..inspection import describe
from ..obstacles import obstacles
from ..session import Session
from ..users import writers
from . import native
from .other_cluster import OtherCluster, connected
from .source_access import resolver, resolver_of

_NO_SUCH_VERSION = 1 << 62  # of an object: a write that asks for it changes nothing


def inspect(
    session: Session, spec: SourceSpec, policy: ImportPolicy, own_keys: Iterable[str] = ()
) -> Inspection:
    """What the image is; what forbids to reach it or to write to it is a finding."""
    resolve = resolver(session, policy, frozenset(own_keys))

    def look() -> Inspection:
        with connected(spec, policy, resolve) as other, session.joined(other.rados):
            _require_other_cluster(session, other, spec)
            found = native.find_image(other, spec, in_trash=True)
            return _inspected(session, other, replace(found, cluster=_host(spec)))

    return native.with_findings(spec, look)


def _require_other_cluster(session: Session, other: OtherCluster, spec: SourceSpec) -> None:
    """Raise MigrationError(EINVAL) where the monitors are those of this cluster."""
    if str(other.rados.get_fsid()) == str(session.rados.get_fsid()):
        raise MigrationError(
            EINVAL,
            f"The source {spec.label()} is an image of this cluster; migrate it without a "
            "source-spec and without --import-only.",
        )


def _inspected(session: Session, other: OtherCluster, place: Place) -> Inspection:
    with (
        other.open(place) as ioctx,
        rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image,
    ):
        _require_named(ioctx, place)
        _require_writable(other, ioctx, place)
        known = clones.clones_of(other.rados, ioctx, place.image_id)
        every = known.all()
        found = replace(
            describe(image, flatten=True),
            users=tuple(writers(session, place, ioctx, image, ())),
            obstacles=obstacles(other.rados, ioctx, image),
            clones=len(every),
            clone_names=tuple(clones.clone_names(other.rados, every)),
            silent_pools=tuple(known.silent),
        )
        snapshots = {str(s["name"]): int(s["size"]) for s in list(image.list_snaps())}
    return _answer(other, place, found, snapshots)


def _answer(
    other: OtherCluster, place: Place, image: SourceImage, sizes: dict[str, int]
) -> Inspection:
    return Inspection(
        size=image.size,
        snapshots=tuple(SnapshotInfo(s.name, sizes.get(s.name, 0)) for s in image.snapshots),
        to_copy=image.to_copy,
        image=image,
        image_identity=ImageIdentity(str(other.rados.get_fsid()), place.pool_id, place.image_id),
    )


def _require_named(ioctx: rados.Ioctx, place: Place) -> None:
    """Raise MigrationError(ENOENT) for an image in the trash."""
    if headers.image_name(ioctx, place.image_id) is None:
        pool = "/".join(filter(None, (place.pool, place.namespace)))
        raise MigrationError(
            ENOENT,
            f"The source {place} is in the trash of its cluster; restore it there with `rbd trash "
            f"restore {pool}/{place.image_id}`.",
        )


def _require_writable(other: OtherCluster, ioctx: rados.Ioctx, place: Place) -> None:
    """Raise MigrationError(EPERM) for a client that may not write to the pools of the image."""
    pools = dict.fromkeys((place.pool_id, headers.data_pool_id(ioctx, place.image_id)))
    names = [str(other.rados.pool_reverse_lookup(pool_id)) for pool_id in pools]
    for pool_id in pools:
        with other.open(replace(place, pool_id=pool_id)) as pool:
            if _is_writable(pool):
                continue
        profiles = ", ".join(f"profile rbd pool={name}" for name in names)
        raise MigrationError(
            EPERM,
            f"The client of the source {place} may not write there, and a migration takes "
            f"snapshots of the source and locks it for the cutover; give one with the capabilities "
            f"mon 'profile rbd' osd '{profiles}'.",
        )


def _is_writable(ioctx: rados.Ioctx) -> bool:
    """Whether the client may write. Nothing is written.

    OSDs look at the client's rights first, and then refuse the write for its version.
    """
    try:
        with rados.WriteOpCtx() as op:
            op.assert_version(_NO_SUCH_VERSION)
            op.remove()
            ioctx.operate_write_op(op, "rbd_migration.may_write")
    except rados.Error as error:
        return abs(error_number(error)) != EPERM
    return True


@contextmanager
def joined(session: Session, ends: WarmEnds, act: Act) -> Iterator[tuple[WarmEnds, Act]]:
    """Connect to the cluster of the source.

    Both ends, the source with its ids and name of now, and the act, which knows of a worker that
    was killed while it was connected. Raises SourceError where the cluster cannot be reached,
    unless the act does without it, and MigrationError(EINVAL) where its monitors are those of
    another cluster than before.
    """
    assert ends.elsewhere is not None
    imported = ends.elsewhere.imported
    spec, known = imported.source, imported.image
    assert known is not None
    with ExitStack() as stack:
        try:
            resolve = resolver_of(session, ends.elsewhere)
            other = stack.enter_context(connected(spec, ends.elsewhere.policy, resolve))
        except MigrationError:
            if not (isinstance(act, Abort) and act.without_source):
                raise
            yield replace(ends, source=replace(ends.source, pool_id=-1)), act  # as one that is gone
            return
        require_same_cluster(other, spec, known)
        stack.enter_context(session.joined(other.rados))
        both = replace(ends, source=place_of(other, spec, known))
        target = stack.enter_context(_target(session, both))
        fenced: tuple[str, ...] = ()
        if target is not None:
            fenced = _shut_out_former(session, both, other, target)
            stack.enter_context(_noted(both, other, target))
        yield both, _with_fenced(act, fenced)


def require_same_cluster(other: OtherCluster, spec: SourceSpec, known: ImageIdentity) -> None:
    """Raise MigrationError(EINVAL) where the client is one of another cluster than before."""
    fsid = str(other.rados.get_fsid())
    if fsid != known.fsid:
        raise MigrationError(
            EINVAL,
            f"The monitors of the source {spec.label()} are those of the cluster {fsid} now, and "
            f"it is an image of the cluster {known.fsid}; have {spec.mon_host} lead to that again.",
        )


def place_of(other: OtherCluster, spec: SourceSpec, known: ImageIdentity) -> Place:
    """Where the image is now; one that is gone is where it was."""
    other.rados.wait_for_latest_osdmap()
    pool = str(other.rados.pool_reverse_lookup(known.pool_id) or "")
    namespace = spec.pool_namespace or ""
    place = Place(pool, namespace, spec.image_name or "", known.pool_id, known.image_id)
    place = replace(place, cluster=_host(spec))
    if not pool:
        return place
    with other.open(place) as ioctx:
        view = headers.view_by_id(ioctx, known.image_id)
    return replace(place, image=view.name) if view is not None and view.name else place


def _host(spec: SourceSpec) -> str:
    return parse_mon_host(spec.mon_host or "")[0].host


# -- workers that were killed


def _shut_out_former(
    session: Session, ends: WarmEnds, other: OtherCluster, target: rados.Ioctx
) -> tuple[str, ...]:
    """Shut out the client of a worker that was killed there, as the manager does here.

    Its addresses; else the image would count as open for half a minute, and a worker that is only
    frozen could go on. Raises MigrationError.
    """
    noted = headers.metadata(target, ends.target.image_id, headers.CLIENT_KEY)
    addresses = tuple((noted or "").split())
    if not addresses:
        return ()
    fence(other.rados, addresses, UNKNOWN)
    if session.has_pool(ends.source):
        with session.open(ends.source) as source:
            holder = headers.lock_holder(source, ends.source.image_id)
            if holder is not None and holder.address in addresses:
                surgery.break_lock(source, ends.source.image_id, holder)
    return addresses


@contextmanager
def _noted(ends: WarmEnds, other: OtherCluster, target: rados.Ioctx) -> Iterator[None]:
    """Note on the target which client is ours there, until the act ended."""
    ident = ends.target.image_id
    addresses = " ".join(fencing_addresses(other.rados))
    surgery.set_metadata(target, ident, headers.CLIENT_KEY, addresses)
    try:
        yield
    finally:
        if headers.image_exists(target, ident):
            surgery.drop_metadata(target, ident, headers.CLIENT_KEY)


@contextmanager
def _target(session: Session, ends: WarmEnds) -> Iterator[Optional[rados.Ioctx]]:
    """The pool of the target; None where that image does not exist."""
    if not ends.target.image_id or not session.has_pool(ends.target):
        yield None
        return
    with session.open(ends.target) as ioctx:
        yield ioctx if headers.image_exists(ioctx, ends.target.image_id) else None


def _with_fenced(act: Act, fenced: tuple[str, ...]) -> Act:
    if fenced and isinstance(act, (Prepare, Execute, ReverseRound, CutOver, Abort)):
        return replace(act, fenced=(*act.fenced, *fenced))
    return act
