"""The target of a warm migration: an ordinary image under a hidden name until the cutover."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from errno import EEXIST, EINVAL, EOPNOTSUPP
from typing import Optional

import rados
import rbd

from ...cluster import headers, image_snapshots, surgery
from ...cluster.lock_out import let_in
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.acts import WarmEnds
from ...model.layout import FEATURES, SINGLE_CLIENT, LayoutOptions
from ...model.migration import Place
from ...model.rounds import hidden_name, round_prefix
from ..mover.image_writer import ImageWriter
from ..mover.rbd_reader import RbdReader
from ..removal import complete_removals, remove_snapshots
from ..session import Session

_STRIPING = FEATURES["striping"]


def hidden(ends: WarmEnds) -> Place:
    """The target under the name that it has before the cutover."""
    return replace(ends.target, image=hidden_name(ends.id))


def create(session: Session, ends: WarmEnds, layout: LayoutOptions) -> str:
    """Make the target, empty and marked; its id. One that an earlier try left is made again."""
    place = hidden(ends)
    with session.open(ends.source) as source, session.open(ends.target) as ioctx:
        if not ends.in_place and headers.image_id(ioctx, ends.target.image) is not None:
            raise MigrationError(EEXIST, f"The target {ends.target.spec} exists already.")
        left = headers.image_id(ioctx, place.image) or ""
        require_ours(ioctx, place, left, ends)
        remove_image(session, ioctx, place.image, left)
        with rbd.Image(source, image_id=ends.source.image_id, read_only=True) as image:
            size, wanted, features = int(image.size()), _layout(image, layout), _features(image)
            _require_protectable(image, layout, features)
            version = _clone_version(image)
            _expect_numbers(session, ends, image, layout)
        metadata = RbdReader(source, ends.source.image_id).metadata()
        # A parent in another cluster is none for the target, which gets its data.
        alone = layout.flatten or bool(ends.source.cluster)
        parent = None if alone else headers.parent(source, ends.source.image_id)
        bits = _wanted_features(layout, features)
        if parent is None:
            session.c_client.create(place, size, wanted, bits)
        else:
            original, snapshot = _snapshot_of(session, parent, ends.source, wanted.object_size)
            session.c_client.clone(original, snapshot, place, wanted, bits, version)
        fault_point("warm.made")
        ident = headers.image_id(ioctx, place.image) or ""
        mark = CopyMark(0, mixed=parent is not None)  # it has the data of its parent
        with rbd.Image(ioctx, image_id=ident) as image:
            # librbd gives a clone those of its parent.
            ImageWriter(image, ioctx, place).set_metadata(metadata)
            image.metadata_set(headers.COPY_KEY, mark.to_json())
            fault_point("warm.marked")
            image.metadata_set(headers.WARM_KEY, ends.id)
    return ident


def _expect_numbers(
    session: Session, ends: WarmEnds, image: rbd.Image, layout: LayoutOptions
) -> None:
    """Have the monitors reserve the numbers that the first round is likely to need."""
    pool, target_id = layout.data_pool, ends.target.pool_id
    if pool is not None and session.rados.pool_exists(pool):
        target_id = int(session.rados.pool_lookup(pool))
    session.numbers_of(ends.target).expect(target_id)
    if not list(image.list_snaps()):  # else the round takes it by librbd
        session.numbers_of(ends.source).expect(int(image.data_pool_id()))


def require_ours(ioctx: rados.Ioctx, place: Place, ident: str, ends: WarmEnds) -> None:
    """Raise MigrationError(EEXIST) where the hidden name is that of somebody else's image.

    What an earlier try of ours left has its mark, or nothing in it yet.
    """
    if not ident or headers.metadata(ioctx, ident, headers.WARM_KEY) == ends.id:
        return
    found: list[int] = []
    with suppress(rbd.ImageNotFound), rbd.Image(ioctx, image_id=ident, read_only=True) as image:
        if not list(image.list_snaps()):
            image.diff_iterate(
                0, image.size(), None, lambda at, length, data: found.append(at), False, True
            )
            if not found:
                return
        raise MigrationError(
            EEXIST,
            f"{place.spec}, the name of the copy of {ends.source} until the cutover, is that "
            "of another image; rename it with `rbd mv`, then try again.",
        )


def _clone_version(image: rbd.Image) -> int:
    """That of a clone: 1 needs a protected snapshot, and clients of any age know it."""
    if not int(image.features()) & rbd.RBD_FEATURE_OPERATIONS:
        return 1
    return 2 if int(image.op_features()) & rbd.RBD_OPERATION_FEATURE_CLONE_CHILD else 1


def _snapshot_of(
    session: Session, parent: headers.Parent, source: Place, object_size: Optional[int]
) -> tuple[Place, str]:
    """The parent's image, and its snapshot. Raises MigrationError where librbd cannot clone it."""
    place = Place("", parent.namespace, "", parent.pool_id, parent.image_id)
    with session.open(place) as ioctx:
        if headers.trash_entry(ioctx, parent.image_id) is not None:
            raise MigrationError(
                EOPNOTSUPP,
                f"The parent of {source.spec} is in the trash, where librbd makes no clones of it; "
                "give --flatten, or restore it with `rbd trash restore`.",
            )
        with rbd.Image(ioctx, image_id=parent.image_id, read_only=True) as image:
            smallest = 1 << int(image.stat()["order"])
            if object_size is not None and object_size < smallest:
                raise MigrationError(
                    EINVAL,
                    f"The objects of a clone cannot be smaller than the {smallest} bytes of its "
                    f"parent's, of which {source.spec} is a clone; give --flatten, or a larger "
                    "--object-size.",
                )
            place = replace(place, pool=ioctx.get_pool_name(), image=image.get_name())
            return place, str(image.snap_get_name(parent.snap_id))


def _layout(image: rbd.Image, layout: LayoutOptions) -> LayoutOptions:
    """The source's object size and striping where nothing else was asked for, as librbd does."""
    if layout.object_size is None:
        layout = replace(layout, object_size=1 << int(image.stat()["order"]))
        if layout.stripe_unit is None and int(image.features()) & _STRIPING:
            return replace(
                layout,
                stripe_unit=int(image.stripe_unit()),
                stripe_count=int(image.stripe_count()),
                flatten=False,
            )
    return replace(layout, flatten=False)  # for librbd that is an option of clones


def _features(image: rbd.Image) -> int:
    """The features of the source that users choose."""
    return int(image.features()) & sum(FEATURES.values()) & ~_STRIPING


def _wanted_features(layout: LayoutOptions, source: int) -> int:
    bits = layout.feature_bits()
    if bits is None:
        bits = source
    if layout.shared:
        for name in SINGLE_CLIENT:
            bits &= ~FEATURES[name]
    return bits


def _require_protectable(image: rbd.Image, layout: LayoutOptions, features: int) -> None:
    """Raise MigrationError(EINVAL) for protected snapshots that the target could not have."""
    if _wanted_features(layout, features) & FEATURES["layering"]:
        return
    for snapshot in list(image.list_snaps()):
        if image.is_protected_snap(snapshot["name"]):
            raise MigrationError(
                EINVAL,
                f"The snapshot {snapshot['name']!r} of the source is protected, which needs the "
                "feature layering on the target too; add `--image-feature layering` or unprotect "
                "it.",
            )


def remove_image(session: Session, ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Remove an image of ours with its snapshots, also one that was made or removed in part.

    It may be in the trash. Raises ``rbd.ImageBusy`` when somebody has it open.
    """
    if not ident:
        listed = headers.listed_id(ioctx, name)
        if listed is not None and not headers.image_exists(ioctx, listed):
            surgery.unlink_ghost(ioctx, name, listed)
        return
    let_in(ioctx, ident)
    with suppress(rbd.ImageNotFound):
        remove_snapshots(session, ioctx, name, ident)
        if headers.trash_entry(ioctx, ident) is not None:
            session.rbd.trash_remove(ioctx, ident, force=True)
        else:
            session.rbd.remove(ioctx, headers.image_name(ioctx, ident) or name)
    if not headers.image_exists(ioctx, ident):
        surgery.unlink_ghost(ioctx, name, ident)
        if headers.trash_entry(ioctx, ident) is not None:
            surgery.drop_trash_entry(ioctx, ident)


def drop_round_snapshots(ioctx: rados.Ioctx, ident: str, migration: str) -> None:
    """Remove the snapshots of our rounds from an image, which is opened only if it has any."""
    names = image_snapshots.snapshot_names(ioctx, ident)
    ours = any(name.startswith(round_prefix(migration)) for name in names)
    if not ours and not any(s.in_trash for s in image_snapshots.snapshots(ioctx, ident)):
        return
    with suppress(rbd.ImageNotFound), rbd.Image(ioctx, image_id=ident) as image:
        drop_rounds(image, migration)


def drop_rounds(image: rbd.Image, migration: str, keep: Collection[str] = ()) -> bool:
    """The same for an open image, but for those with the names ``keep``; whether there were any.

    A client that has the lock removes them for us, and goes on when a worker is killed: what it is
    about to remove for that is gone when we ask for it again.
    """
    dropped = complete_removals(image, round_prefix(migration))
    for snapshot in list(image.list_snaps()):
        ours = str(snapshot["name"]).startswith(round_prefix(migration))
        if ours and snapshot["name"] not in keep:
            with suppress(rbd.ImageNotFound):
                image.remove_snap(snapshot["name"])
            dropped = True
    return dropped
