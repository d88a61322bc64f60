"""Acts on the migration of an image: one function each, which can be repeated after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, ENOENT
from typing import Optional, Union

import rados
import rbd

from ..cluster import headers, image_snapshots
from ..cluster.capi import CApiError
from ..faults import fault_point
from ..model.errors import MigrationError
from ..model.jobs.acts import Abort, Commit, Execute, FinishCommit, ImageEnds, Prepare, UndoPrepare
from ..model.jobs.answers import Copied, Finished, NotTrimmed, Prepared
from ..model.jobs.protocol import Progress, Tell
from ..model.layout import FEATURES, SINGLE_CLIENT, LayoutOptions
from ..model.migration import Place
from ..model.observation import HeaderState
from ..model.spec import ImageSpec
from ..model.watchers import Watcher, source_in_use
from ..trace import span
from .copy.concurrency import limited_concurrency
from .copy.estimate import survey
from .copy.librbd_copy import librbd_copy
from .copy.lock_requests import yielding_lock
from .copy.missing_objects import require_all_objects
from .copy.progress import objects
from .identity import (
    prepared_target,
    renamed,
    require_committed,
    require_executed,
    require_same_image,
)
from .obstacles import obstacles
from .open_image import open_image
from .repair import comparison_snapshot, group_mirror, repair
from .repair.flatten import release_parent
from .session import Session
from .trimming import BEFORE_ACT, untrimmed
from .users import naming_users, writers


def prepare(
    session: Session, ends: ImageEnds, act: Prepare, tell: Tell
) -> Union[Prepared, NotTrimmed]:
    """Link ``target`` to ``source``; refused with EBUSY and who it is when the source is in use.

    ``NotTrimmed``, and nothing is linked, while librbd would copy it wrong (``trimming``).
    """
    source, target = ends.source, ends.target
    with session.open(source) as ioctx:
        try:
            with open_image(ioctx, source.image_id, read_only=True) as image:
                _refuse_when_in_use(writers(session, source, ioctx, image, act.fenced), source.spec)
                for obstacle in obstacles(session.rados, ioctx, image).of(source.spec):
                    raise MigrationError(EBUSY, obstacle.message)
                features = _features(act.layout, image)
                layout = _restripe(act.layout, image)
                _refuse_crash(features, image)
                if act.comparison_snapshot:  # before snapshots are looked at
                    comparison_snapshot.clear(session, source, act.comparison_snapshot)
                snapshots = set(image_snapshots.snapshot_ids(ioctx, source.image_id)[1])
                found = untrimmed(session, ioctx, image, BEFORE_ACT, lambda: tell(Progress()))
                if found is not None:
                    return NotTrimmed(found)
        except rbd.ImageNotFound as error:
            raise MigrationError(ENOENT, f"The source {source.spec} does not exist.") from error
    no_comparison_snapshot = (
        comparison_snapshot.take(session, source, act.comparison_snapshot)
        if act.comparison_snapshot
        else ""
    )
    with session.open(source) as ioctx:
        require_same_image(ioctx, source)
    fault_point("librbd.before", "prepare")
    try:
        with span("librbd", act="prepare"):
            session.c_client.prepare(source, target, layout, features)
    except CApiError:
        if act.comparison_snapshot:  # where it is half done, whoever completes that removes it
            with suppress(rados.Error, rbd.Error):
                comparison_snapshot.drop(session, (target, source), act.comparison_snapshot)
        raise
    fault_point("librbd.after", "prepare")
    ident = _linked_target(session, source, target)
    _refuse_removed(session, source, snapshots)
    with session.open(target) as ioctx:
        return prepared_target(ioctx, ident, no_comparison_snapshot)


def _linked_target(session: Session, source: Place, target: Place) -> str:
    """The id of the target that the prepare linked to the source.

    Where another image was given the source's name at the same moment, that one was linked: it is
    given back. Raises MigrationError(ESTALE) then.
    """
    with session.open(source) as ioctx:
        header = headers.migration_header(ioctx, source.image_id)
    if header is not None and header.is_source:
        return header.image_id
    with session.open(target) as ioctx:
        session.rbd.migration_abort(ioctx, target.image)
    raise renamed(source)


def _refuse_removed(session: Session, source: Place, snapshots: set[int]) -> None:
    """Refuse the answer when a snapshot was removed after the look: the engine then undoes it."""
    if not snapshots:
        return
    with session.open(source) as ioctx:
        gone = snapshots.difference(image_snapshots.snapshot_ids(ioctx, source.image_id)[1])
    if gone:
        raise MigrationError(
            EAGAIN,
            f"A snapshot of {source.spec} was removed while it was prepared; it is given back, and "
            "prepared again.",
        )


def _refuse_when_in_use(users: Sequence[Watcher], source: ImageSpec) -> None:
    """librbd says just 'busy'; the administrator needs to know whom to stop."""
    if users:
        raise MigrationError(EBUSY, source_in_use(source, users))


def _refuse_crash(features: Optional[int], image: rbd.Image) -> None:
    """librbd kills its process when asked for these: layering is what protected snapshots need."""
    if features is None or features & FEATURES["layering"]:
        return
    protected = [s["name"] for s in image.list_snaps() if image.is_protected_snap(s["name"])]
    if protected:
        raise MigrationError(
            EINVAL,
            f"The snapshot {protected[0]!r} of the source is protected, which needs the feature "
            "layering on the target too; add `--image-feature layering` or unprotect it.",
        )


def _features(layout: LayoutOptions, image: rbd.Image) -> Optional[int]:
    """The target's feature mask; None leaves the source's."""
    bits = layout.feature_bits()
    if layout.shared:
        bits = int(image.features()) if bits is None else bits
        for name in SINGLE_CLIENT:
            bits &= ~FEATURES[name]
    return bits


def _restripe(layout: LayoutOptions, image: rbd.Image) -> LayoutOptions:
    """A new object size for a source without fancy striping brings its own stripe unit.

    librbd takes the source's stripe unit otherwise, which is its object size, and then refuses
    the smaller objects that were asked for or stripes the larger ones.
    """
    if layout.object_size is None or layout.stripe_unit is not None or image.stripe_count() != 1:
        return layout
    return replace(layout, stripe_unit=layout.object_size, stripe_count=1)


def execute(
    session: Session, ends: ImageEnds, act: Execute, tell: Tell
) -> Union[Copied, NotTrimmed]:
    """Copy until everything is there; goes on where an interrupted copy stopped.

    Of a target that is executed already it only checks that it has all objects.
    """
    source, target = ends.source, ends.target
    with session.open(target) as ioctx:
        header = headers.migration_header(ioctx, target.image_id)
        if header is not None and header.state is HeaderState.EXECUTED:
            return _check_executed(session, ioctx, ends, tell)
    with session.open(source) as ioctx, open_image(ioctx, source.image_id, read_only=True) as image:
        # As before a prepare, for those that plain ``rbd`` or version 0.1 prepared.
        waits_for = untrimmed(session, ioctx, image, BEFORE_ACT, lambda: tell(Progress()))
        if waits_for is not None:
            return NotTrimmed(waits_for)
        with span("survey", act="execute"):
            found = survey(session, image, target)
    with librbd_copy(session, target, act, found, tell) as copy:
        ioctx = copy.ioctx
        with limited_concurrency(session, ioctx, target, act, found.to_copy, imported=False):
            require_same_image(ioctx, target)
            copy.watch.begins()
            lock = yielding_lock(ioctx, target.image_id, session.pace)
            with lock, span("librbd", act="execute"):
                session.rbd.migration_execute(ioctx, target.image, on_progress=copy.progress.next)
        fault_point("librbd.after", "execute")
        version = copy.watch.ended()
        require_executed(ioctx, target)
        with span("all objects", act="execute"):
            require_all_objects(session, source, target, found.to_copy, copy.progress.done)
        return Copied(version, copy.watch.alone, found.total)


def _check_executed(session: Session, ioctx: rados.Ioctx, ends: ImageEnds, tell: Tell) -> Copied:
    """The answer to an execute whose copy ended before anybody checked that it is complete."""
    source = ends.source
    with (
        session.open(source) as opened,
        open_image(opened, source.image_id, read_only=True) as image,
    ):
        found = survey(session, image, ends.target)

    def alive() -> None:
        tell(Progress(bytes=found.total, bytes_total=found.total))

    require_all_objects(session, ends.source, ends.target, found.to_copy, alive)
    return Copied(headers.version(ioctx, ends.target.image_id), False, found.total)


def commit(session: Session, ends: ImageEnds, act: Commit, tell: Tell) -> Finished:
    """Make the target independent of the source and remove the source.

    Whether clones forbid that the manager has found out (``engine.reconcile.clones``).
    """
    target = ends.target
    with session.open(target) as ioctx:
        release_parent(session, ends.source, target)
        fault_point("librbd.before", "commit")
        require_same_image(ioctx, target)
        with (
            span("librbd", act="commit"),
            naming_users(session, ends.source, side="source"),
        ):
            session.rbd.migration_commit(ioctx, target.image, on_progress=objects(tell))
        fault_point("librbd.after", "commit")
        require_committed(ioctx, target)
    return Finished()


def abort(session: Session, ends: ImageEnds, act: Abort, tell: Tell) -> Finished:
    """Remove the target and give the source back; completes an abort that was cut off."""
    fault_point("librbd.before", "abort")
    with naming_users(session, ends.target, side="target"):
        repair.abort(session, ends, act, objects(tell))
    group_mirror.give_back(session, ends.source, act.group, act.mirror_mode)
    fault_point("librbd.after", "abort")
    return Finished()


def undo_prepare(session: Session, ends: ImageEnds, act: UndoPrepare, tell: Tell) -> Finished:
    """Bring the source back after a prepare that was cut off."""
    fault_point("librbd.before", "undo_prepare")
    repair.undo_prepare(session, ends.source, ends.target)
    group_mirror.give_back(session, ends.source, act.group, act.mirror_mode)
    fault_point("librbd.after", "undo_prepare")
    return Finished()


def finish_commit(session: Session, ends: ImageEnds, act: FinishCommit, tell: Tell) -> Finished:
    """Remove what is left of the source after a commit that was cut off."""
    fault_point("librbd.before", "finish_commit")
    with naming_users(session, ends.source, side="source"):
        repair.finish_commit(session, ends.source, ends.target, objects(tell))
    fault_point("librbd.after", "finish_commit")
    return Finished()
