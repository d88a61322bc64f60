"""What a worker can do: one function an act, each good for repeating after a crash.

A function takes the session, the job's plain arguments and a progress callback (objects done and
in all, bytes done and in all) and returns plain data. It raises MigrationError for its own
findings, made before anything was changed, and lets librbd's errors through (``main`` passes on
their errno alone).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, ENOENT
from typing import Any, Optional

import rados
import rbd

from ..cluster import headers
from ..cluster.capi import CApiError
from ..faults import fault_point
from ..model.codec import from_plain, to_plain
from ..model.errors import MigrationError
from ..model.layout import FEATURES, SINGLE_CLIENT, LayoutOptions
from ..model.migration import Place
from ..model.observation import HeaderState
from ..model.spec import ImageSpec
from ..model.untrimmed import Untrimmed
from ..model.watchers import source_in_use
from . import inspection
from .copy.concurrency import limited_concurrency
from .copy.copied_alone import CopiedAlone
from .copy.estimate import survey
from .copy.missing_objects import require_all_objects
from .copy.progress import CopyProgress, Progress, objects
from .identity import (
    other_image,
    prepared_target,
    renamed,
    require_executed,
    require_same_image,
)
from .imports import ops as import_ops
from .imports.source_access import require_allowed_source
from .obstacles import obstacles
from .repair import comparison_snapshot, group_mirror, repair
from .repair.complete_objects import settle
from .repair.flatten import release_parent
from .session import Session
from .trimming import BEFORE_ACT, untrimmed
from .users import users_of, writers
from .verify.verify import verify

_LOCK_TO_READ = "rbd_clone_copy_on_read"  # with it a read may write, and so needs the lock


def _place(plain: dict[str, Any]) -> Place:
    return from_plain(Place, plain, "place")


def prepare(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Link ``target`` to ``source``; refused with EBUSY and who it is when the source is in use.

    Answers ``untrimmed``, having linked nothing, while librbd would copy it wrong (``trimming``).
    """
    if args["import"]:
        return import_ops.prepare(session, args)
    source, target = _place(args["source"]), _place(args["target"])
    layout = from_plain(LayoutOptions, args["layout"], "layout")
    with session.open(source) as ioctx:
        try:
            with rbd.Image(ioctx, image_id=source.image_id, read_only=True) as image:
                _refuse_when_in_use(writers(session, ioctx, image, args["fenced"]), source.spec)
                for obstacle in obstacles(session.rados, ioctx, image).of(source.spec):
                    raise MigrationError(EBUSY, obstacle.message)
                features = _features(layout, image)
                layout = _restripe(layout, image)
                _refuse_crash(features, image)
                if args["point"]:  # before snapshots are looked at
                    comparison_snapshot.clear(session, source, args["point"])
                snapshots = set(headers.snapshot_ids(ioctx, str(image.id()))[1])
                found = untrimmed(session, ioctx, image, BEFORE_ACT, lambda: progress(0, 0, 0, 0))
                if found is not None:
                    return {"untrimmed": to_plain(found)}
        except rbd.ImageNotFound as error:
            raise MigrationError(ENOENT, f"The source {source.spec} does not exist.") from error
    no_point = comparison_snapshot.take(session, source, args["point"]) if args["point"] else ""
    with session.open(source) as ioctx:
        require_same_image(ioctx, source)
    fault_point("librbd.before", "prepare")
    try:
        session.c.prepare(source, target, layout, features)
    except CApiError:
        if args["point"]:  # where it is half done, whoever completes that removes it
            with suppress(rados.Error, rbd.Error):
                comparison_snapshot.drop(session, (target, source), args["point"])
        raise
    fault_point("librbd.after", "prepare")
    ident = _linked_target(session, source, target)
    _refuse_removed(session, source, snapshots)
    with session.open(target) as ioctx:
        return {"no_point": no_point, **prepared_target(ioctx, ident)}


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
        gone = snapshots.difference(headers.snapshot_ids(ioctx, source.image_id)[1])
    if gone:
        raise MigrationError(
            EAGAIN,
            f"A snapshot of {source.spec} was removed while it was prepared; it is given back, and "
            "prepared again.",
        )


def _refuse_when_in_use(users: list[dict[str, Any]], source: ImageSpec) -> None:
    """librbd says just 'busy'; the administrator needs to know whom to stop."""
    if users:
        raise MigrationError(EBUSY, source_in_use(source, users))


def _refuse_crash(features: Any, image: rbd.Image) -> None:
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


def _features(layout: LayoutOptions, image: rbd.Image) -> Any:
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


def execute(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Copy until everything is there; goes on where an interrupted copy stopped.

    Of a target that is executed already it only checks that it has all objects.
    """
    if args["import"]:
        return import_ops.execute(session, args, progress)
    source, target = _place(args["source"]), _place(args["target"])
    session.pace.set(args["rate"])
    with session.open(target) as ioctx:
        header = headers.migration_header(ioctx, target.image_id)
        if header is not None and header.state is HeaderState.EXECUTED:
            return _check_executed(session, ioctx, source, target, progress)
    waits_for = _untrimmed_source(session, source, progress)
    if waits_for is not None:
        return {"untrimmed": to_plain(waits_for)}
    found = survey(session, source, target)
    with session.open(target) as ioctx:
        watch = CopiedAlone(session, ioctx, target, args["untouched"])
        copied = CopyProgress(session.pace, found, progress, watch)
        copied.tell(0, found.to_copy.objects)
        if args["holder_ops"] is not None:
            with rbd.Image(ioctx, image_id=target.image_id) as image:
                image.metadata_set(headers.HOLDER_OPS_KEY, str(args["holder_ops"]))
        fault_point("librbd.before", "execute")
        with limited_concurrency(session, ioctx, target, args):
            require_same_image(ioctx, target)
            watch.begins()
            session.rbd.migration_execute(ioctx, target.image, on_progress=copied.next)
        fault_point("librbd.after", "execute")
        version = watch.ended()
        require_executed(ioctx, target)
        require_all_objects(session, source, target, found.to_copy, copied.done)
        return {
            "version": version,
            "alone": watch.alone,
            "bytes_total": found.total,
        }


def _check_executed(
    session: Session, ioctx: rados.Ioctx, source: Place, target: Place, progress: Progress
) -> dict[str, Any]:
    """The answer to an execute whose copy ended before anybody checked that it is complete."""
    found = survey(session, source, target)

    def tell() -> None:
        progress(0, 0, found.total, found.total)

    require_all_objects(session, source, target, found.to_copy, tell)
    version = headers.version(ioctx, target.image_id)
    return {"version": version, "alone": False, "bytes_total": found.total}


def _untrimmed_source(session: Session, source: Place, progress: Progress) -> Optional[Untrimmed]:
    """The same look as before a prepare, for those that plain ``rbd`` or version 0.1 prepared."""
    with (
        session.open(source) as ioctx,
        rbd.Image(ioctx, image_id=source.image_id, read_only=True) as image,
    ):
        return untrimmed(session, ioctx, image, BEFORE_ACT, lambda: progress(0, 0, 0, 0))


def commit(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Cut the target loose from the source and remove the source.

    Whether clones forbid that the manager has found out (``engine.reconcile.clones``).
    """
    target = _place(args["target"])
    with session.open(target) as ioctx:
        if not args["import"]:
            release_parent(session, _place(args["source"]), target)
        fault_point("librbd.before", "commit")
        require_same_image(ioctx, target)
        if args["import"]:
            import_ops.commit(session, ioctx, args)
        else:
            session.rbd.migration_commit(ioctx, target.image, on_progress=objects(progress))
        fault_point("librbd.after", "commit")
        if headers.migration_header(ioctx, target.image_id) is not None:
            raise other_image("Committing", target)
    return {}


def abort(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Remove the target and give the source back; completes an abort that was cut off."""
    fault_point("librbd.before", "abort")
    if args["import"]:
        import_ops.abort(session, args, objects(progress))
        fault_point("librbd.after", "abort")
        return {}
    source = _place(args["source"])
    repair.abort(session, source, _place(args["target"]), objects(progress), args)
    group_mirror.give_back(session, source, args["group"], args["mirror_mode"])
    fault_point("librbd.after", "abort")
    return {}


def undo_prepare(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Bring the source back after a prepare that was cut off."""
    fault_point("librbd.before", "undo_prepare")
    if args["import"]:
        import_ops.undo_prepare(session, args)
        fault_point("librbd.after", "undo_prepare")
        return {}
    source = _place(args["source"])
    repair.undo_prepare(session, source, _place(args["target"]))
    group_mirror.give_back(session, source, args["group"], args["mirror_mode"])
    fault_point("librbd.after", "undo_prepare")
    return {}


def finish_commit(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Remove what is left of the source after a commit that was cut off."""
    source, target = _place(args["source"]), _place(args["target"])
    fault_point("librbd.before", "finish_commit")
    repair.finish_commit(session, source, target, objects(progress))
    fault_point("librbd.after", "finish_commit")
    return {}


def drop_point(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Remove the comparison snapshot, when all else is over."""
    ends = (_place(args["target"]), *(() if args["import"] else (_place(args["source"]),)))
    comparison_snapshot.drop(session, ends, args["point"])
    return {"point": ""}


def examine(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """What must be known of an image before it is acted on.

    ``users``: who has it open for writing (``client``, ``address``, ``lock``: holds the exclusive
    lock); ``locks``: the image has the feature exclusive-lock; ``group``: ``<pool id>/<name>`` or
    empty; ``mirror_mode``: None when not mirrored. ``blind``: without opening the image, because
    librbd would open its source too.
    """
    place = _place(args["image"])
    if args["blind"]:
        with session.open(place) as ioctx:
            return import_ops.examine(session, ioctx, place)
    with (
        session.open(place) as ioctx,
        rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image,
    ):
        return {
            "users": writers(session, ioctx, image, args["fenced"]),
            "locks": bool(image.features() & FEATURES["exclusive-lock"]),
            "group": group_mirror.group_of(image),
            "mirror_mode": group_mirror.mirror_mode_of(image),
        }


def inspect(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """What preflight wants to know of the source (:mod:`.inspection`), and who uses it."""
    place = _place(args["image"])
    with (
        session.open(place) as ioctx,
        rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image,
    ):
        waits_for = untrimmed(session, ioctx, image, inspection.TIME)
        return {
            **inspection.describe(image, flatten=args["flatten"]),
            "users": writers(session, ioctx, image, args["fenced"]),
            "untrimmed": None if waits_for is None else to_plain(waits_for),
            "obstacles": to_plain(obstacles(session.rados, ioctx, image)),
        }


def take_lock(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Take the target's exclusive lock from its holder for a moment, and give it back.

    A client that holds the lock carries out the copies that others ask for. When it has to let
    go of the lock it drops the copy, and with nobody left who asks, it stays dropped; its next
    write takes the lock again. The asker must be dead and fenced before.

    The lock is taken as a client's I/O takes it, by a read that needs it: it is given up again
    when the client asks for it. ``lock_acquire`` would keep it, and the client's write would fail.
    """
    target = _place(args["target"])
    session.rados.conf_set(_LOCK_TO_READ, "true")
    try:
        with session.open(target) as ioctx, rbd.Image(ioctx, image_id=target.image_id) as image:
            image.read(0, 1)
    finally:
        session.rados.conf_set(_LOCK_TO_READ, "false")
    return {}


OPS: dict[str, Callable[[Session, dict[str, Any], Progress], dict[str, Any]]] = {
    op.__name__: op
    for op in (
        prepare,
        undo_prepare,
        execute,
        settle,
        commit,
        finish_commit,
        abort,
        examine,
        users_of,
        inspect,
        take_lock,
        verify,
        drop_point,
        import_ops.inspect_source,
    )
}
# The acts for which librbd opens the target, and with that of an import its source. Going back
# (``abort``, ``undo_prepare``) opens no source.
_OPENING = frozenset(op.__name__ for op in (execute, settle, verify, take_lock, drop_point, commit))


def perform(
    session: Session, name: str, args: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Do the act ``name``. Raises MigrationError before anything was done, and librbd's errors."""
    if name in _OPENING and args["import"]:
        require_allowed_source(session, args)
    return OPS[name](session, args, progress)
