"""Native imports by the method ``copy``: the mover copies a snapshot and all that are older.

The target is an ordinary image from the beginning. Its copy mark says how far it is, and clients
use it once that says that all is there. Everything that is needed to go on is kept with it, so that
a worker may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from errno import EEXIST, EINVAL, ENOENT, EPERM
from functools import partial
from typing import Optional

import rbd

from ...cluster import headers
from ...cluster.target_header import target_header
from ...control.mover.history import View
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.import_policy import ImportPolicy
from ...model.inspection import Inspection, SnapshotInfo
from ...model.jobs.acts import Execute, ImportEnds
from ...model.jobs.answers import Copied
from ...model.jobs.protocol import Progress, Tell
from ...model.layout import FEATURES, LayoutOptions
from ...model.migration import Place
from ...model.source_spec import SourceSpec
from ..copy.sole_writer import SoleWriter
from ..identity import renamed
from ..mover.marks import read_mark
from ..mover.rbd_reader import RbdReader
from ..mover.requests import CopyFailed
from ..session import Session
from . import native
from .copied import copied
from .history import HistorySide, history_until
from .other_cluster import SourceCluster, connected
from .source_access import resolver, resolver_of
from .went_on import went_on


@contextmanager
def _cluster_of(session: Session, ends: ImportEnds) -> Iterator[SourceCluster]:
    """The cluster of the source."""
    with _cluster(session, ends.imported.wanted, ends.policy, resolver_of(session, ends)) as found:
        yield found


@contextmanager
def _cluster(
    session: Session, spec: SourceSpec, policy: ImportPolicy, resolve: Callable[[str, str], str]
) -> Iterator[SourceCluster]:
    if spec.mon_host is None:
        yield session
        return
    with connected(spec, policy, resolve) as other:
        yield other


def inspect(
    session: Session, spec: SourceSpec, policy: ImportPolicy, own_keys: Iterable[str] = ()
) -> Inspection:
    """What would be copied; what forbids that is a finding."""
    resolve = resolver(session, policy, frozenset(own_keys))

    def look() -> Inspection:
        with _cluster(session, spec, policy, resolve) as cluster:
            return _inspected(cluster, spec)

    return native.with_findings(spec, look)


def _inspected(cluster: SourceCluster, spec: SourceSpec) -> Inspection:
    found = native.find(cluster, spec, in_trash=True)
    with cluster.open(found.place) as ioctx:
        reader = RbdReader(ioctx, found.place.image_id)
        views = history_until(reader, found.snap_id)
        return Inspection(
            size=found.size,
            snapshots=tuple(SnapshotInfo(view.name, view.size) for view in views),
            to_copy=reader.estimate(views),
        )


def prepare(
    session: Session, ends: ImportEnds, layout: LayoutOptions, features: Optional[int]
) -> None:
    """Make the target, empty and marked."""
    imported, target = ends.imported, ends.target
    with _cluster_of(session, ends) as cluster:
        found = native.find(cluster, imported.source, in_trash=True)
        with cluster.open(found.place) as source:
            reader = RbdReader(source, found.place.image_id)
            _refuse_unprotectable(history_until(reader, found.snap_id), features)
            metadata = reader.metadata()
    with session.open(target) as ioctx:
        if headers.image_id(ioctx, target.image) is not None:
            raise MigrationError(EEXIST, f"The target {target.spec} exists already.")
        session.c_client.create(target, found.size, layout, features)
        fault_point("native.made")
        made = headers.image_id(ioctx, target.image) or ""
        if not imported.made(made):
            raise renamed(target)  # what was made has no mark: it is removed as half-made
        with rbd.Image(ioctx, image_id=made) as image:
            for key, value in metadata.items():
                image.metadata_set(key, value)
            mark = CopyMark(found.snap_id, image=found.place.image_id)
            image.metadata_set(headers.COPY_KEY, mark.to_json())
            fault_point("native.marked")
            image.metadata_set(headers.IMPORT_KEY, ends.id)


def _refuse_unprotectable(views: list[View], features: Optional[int]) -> None:
    if features is None or features & FEATURES["layering"]:
        return
    for view in views:
        if view.protected:
            raise MigrationError(
                EINVAL,
                f"The snapshot {view.name!r} of the source is protected, which needs the feature "
                "layering on the target too; add `--image-feature layering` or unprotect it.",
            )


def execute(session: Session, ends: ImportEnds, act: Execute, tell: Tell) -> Copied:
    """Copy until everything is there; goes on where an interrupted copy stopped."""
    target = ends.target
    fault_point("librbd.before", "execute")
    with ExitStack() as stack:
        cluster = stack.enter_context(_cluster_of(session, ends))
        place = native.find_image(cluster, ends.imported.wanted, in_trash=True)
        ioctx = stack.enter_context(session.open(target))
        source = stack.enter_context(cluster.open(place))
        stack.enter_context(session.without_cache())
        watch = SoleWriter(session=session, ioctx=ioctx, target=target, untouched=act.untouched)
        watch.begins()
        mark = read_mark(ioctx, target)
        _require_same_source(ends, place, mark)
        if ends.imported.later is not None:
            mark = _until_later(cluster, ends, mark, alone=watch.alone)
        reader = RbdReader(source, place.image_id)
        if mark.total is None:
            mark = replace(mark, total=reader.estimate(history_until(reader, mark.until)))
        try:
            done = copied(
                session=session,
                ioctx=ioctx,
                ends=ends,
                reader=reader,
                mark=mark,
                watch=watch,
                tell=tell,
            )
        except CopyFailed as error:
            raise _explained(error) from error
        fault_point("librbd.after", "execute")
        version = watch.ended()
        header = target_header(ioctx, target.image_id, headers.OWN_KEYS)
        views = history_until(reader, done.until)
        after = ""
        if ends.imported.later is not None:
            alive = partial(tell, Progress())
            after = went_on(cluster.rados, source, place.image_id, done.until, alive)
        return Copied(
            version,
            watch.alone,
            done.bytes,
            header=header,
            snapshots=tuple(view.name for view in views),
            size=views[-1].size if views else None,
            went_on=after,
        )


def _require_same_source(ends: ImportEnds, place: Place, mark: CopyMark) -> None:
    """Raise MigrationError(EINVAL) for another image that has got the name of the source."""
    if mark.image not in ("", place.image_id):
        raise MigrationError(
            EINVAL,
            f"The source {ends.imported.wanted.label()} is another image than before "
            f"(id {place.image_id}, and not {mark.image}); give that one its name back, or abort "
            "this migration and import the new one.",
        )


def _until_later(
    cluster: SourceCluster, ends: ImportEnds, mark: CopyMark, *, alone: bool
) -> CopyMark:
    """The mark of a copy that goes on to the later snapshot. Raises MigrationError.

    Before the first byte is written nobody may have used the target: ``alone``. A copy that was cut
    off has written some already.
    """
    later, target = ends.imported.later, ends.target.spec
    assert later is not None
    found = native.find(cluster, ends.imported.wanted, in_trash=True)
    held = mark.base or 0
    if found.snap_id < held or (found.snap_id == held and mark.view is not None):
        raise MigrationError(
            EINVAL,
            f"The snapshot {ends.imported.wanted.label()} is older than the one that {target} "
            "holds; choose a later one with `ceph rbd migration execute`.",
        )
    if found.snap_id == mark.until:
        return mark
    if mark.complete and not alone and not later.force:
        raise MigrationError(
            EPERM,
            f"A client opened {target} for writing after the later snapshot was asked for; what it "
            "wrote would be mixed with it; add --force to `ceph rbd migration execute` if it wrote "
            "nothing.",
        )
    return replace(mark, until=found.snap_id, total=None)


def _explained(error: CopyFailed) -> Exception:
    """The error for a request that failed; what the target says is told as of any image."""
    if error.side == "target":
        failed: Exception = rbd.OSError("a request to the target failed", errno=error.errno)
        return failed
    return MigrationError(error.errno, str(error))


def open_history(session: Session, ends: ImportEnds, stack: ExitStack) -> HistorySide:
    """The source's side of a verification; ``stack`` closes it.

    Raises MigrationError where the snapshot that was asked for is gone.
    """
    spec = ends.imported.source
    with session.open(ends.target) as ioctx:
        until = read_mark(ioctx, ends.target).until
    cluster = stack.enter_context(_cluster_of(session, ends))
    place = native.find_image(cluster, spec, in_trash=True)
    side = HistorySide(stack.enter_context(cluster.open(place)), place, until)
    if not side.has_newest:
        raise MigrationError(ENOENT, f"The snapshot {spec.label()} was removed from the source.")
    return side
