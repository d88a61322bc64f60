"""librbd's migration on the fake cluster: prepare, execute, commit and abort.

Each is the sequence of small writes that was measured on real clusters, with what librbd refuses
and how it goes wrong when it finds an act of its own cut off (``doc/design/recovery.rst``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, Optional

from .cls_rbd import Link, string
from .cluster import BLOCK, Header, Snapshot
from .errors import rbd_error
from .images import (
    ABORTING,
    EXCLUSIVE_LOCK,
    EXECUTED,
    EXECUTING,
    PREPARED,
    PREPARING,
    Spot,
)

Progress = Optional[Callable[[int, int], int]]


def _tell(on_progress: Progress, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total)


def prepare(
    source: Spot, name: str, target: Spot, target_name: str, features: Optional[int] = None
) -> None:
    """Put the source into the trash and make the target, which reads through to it."""
    ident = source.id_of(name)
    if ident is None:
        raise rbd_error(errno.ENOENT, f"no image {name}")
    header = source.header(ident)
    if header.link is not None:
        raise rbd_error(errno.EBUSY, f"{name} migrates already")
    if source.others(ident):
        raise rbd_error(errno.EBUSY, f"{name} is open")
    in_place = (source.pool_id, source.namespace, name) == (
        target.pool_id,
        target.namespace,
        target_name,
    )
    if not in_place and target.id_of(target_name) is not None:
        raise rbd_error(errno.EEXIST, f"{target_name} exists")
    made = f"{target.client.number:x}{target.cluster.number():08x}"
    place = (target.pool_id, target.namespace, target_name, made)
    source.method("rbd_trash", "trash_add", string(ident) + string(name))
    source.write(f"rbd_id.{name}", lambda *_: False)
    source.method("rbd_directory", "dir_remove_image", string(name) + string(ident))
    source.edit(ident, lambda h: setattr(h, "link", Link(True, *place, PREPARING, {})))
    header = source.header(ident)  # from here on nobody changes it
    target.method("rbd_directory", "dir_add_image", string(target_name) + string(made))
    target.method(f"rbd_id.{target_name}", "set_id", string(made))
    numbers = {old: target.cluster.number() for old in sorted(header.snapshots)}
    copied = Header(
        target_name,
        header.size,
        header.features if features is None else features,
        snapshots={
            numbers[old]: Snapshot(s.name, s.size, {}) for old, s in header.snapshots.items()
        },
    )
    target.make(made, copied)
    other = (source.pool_id, source.namespace, name, ident)
    target.edit(
        made, lambda h: setattr(h, "link", Link(False, *other, PREPARING, numbers, header.size))
    )
    source.set_state(ident, PREPARED)
    target.set_state(made, PREPARED)
    target.cluster.event("prepared", client=target.client, source=ident, target=made)


def _ends(spot: Spot, name: str) -> tuple[Spot, str, Spot, str, Link]:
    """Source, target and the header by which they were found. Raises EINVAL, ENOENT."""
    ident = spot.resolve(name)
    link = spot.header(ident).link
    if link is None:
        raise rbd_error(errno.EINVAL, f"{name} does not migrate")
    other = spot.at(link.pool_id, link.namespace)
    if link.is_source:
        return spot, ident, other, link.image_id, link
    return other, link.image_id, spot, ident, link


def execute(spot: Spot, name: str, on_progress: Progress = None) -> None:
    """Copy what is not there yet, object by object."""
    source, source_id, target, target_id, link = _ends(spot, name)
    if link.state not in (PREPARED, EXECUTING):
        raise rbd_error(errno.EINVAL, f"{name} cannot be executed now")
    if not target.held_by_other(target_id):
        target.take_lock(target_id)
    source.set_state(source_id, EXECUTING)
    target.set_state(target_id, EXECUTING)
    locks = target.header(target_id).features & EXCLUSIVE_LOCK
    number = 0
    while number * BLOCK < target.header(target_id).size:
        if locks and not (target.holds_lock(target_id) or target.held_by_other(target_id)):
            target.take_lock(target_id)  # a client had it meanwhile: the copy begins again
            number = 0
        _tell(on_progress, number, -(-target.header(target_id).size // BLOCK))
        target.copy_object(target_id, number)
        number += 1
    source.set_state(source_id, EXECUTED)
    target.set_state(target_id, EXECUTED)
    target.drop_lock(target_id)
    target.cluster.event("executed", client=spot.client, source=source_id, target=target_id)


def commit(spot: Spot, name: str, on_progress: Progress = None) -> None:
    """Make the target independent and remove the source."""
    source, source_id, target, target_id, link = _ends(spot, name)
    state = min(link.state, target.header(target_id).link.state)
    if state != EXECUTED:
        raise rbd_error(errno.EINVAL, f"{name} is not executed")
    if any(snapshot.in_trash for snapshot in source.header(source_id).snapshots.values()):
        raise rbd_error(errno.EBUSY, "a snapshot of the source is half removed")
    about = {"client": spot.client, "source": source_id, "target": target_id}
    target.cluster.event("commit", **about)
    target.edit(target_id, lambda h: setattr(h, "link", None))
    for number in list(source.header(source_id).snapshots):
        source.snap_remove(source_id, number)
    _tell(on_progress, 1, 1)
    source.write(f"rbd_header.{source_id}", lambda *_: False)
    source.method("rbd_trash", "trash_remove", string(source_id))
    target.cluster.event("committed", **about)


def abort(spot: Spot, name: str, on_progress: Progress = None) -> None:
    """Copy what clients wrote back to the source, remove the target, give the source back."""
    source, source_id, target, target_id, link = _ends(spot, name)
    stored = target.stored(target_id)
    about = {"client": spot.client, "source": source_id, "target": target_id}
    if link.is_source and link.state == ABORTING and not _in_trash(source, source_id):
        raise rbd_error(errno.ENOENT, "the source is not in the trash")
    if stored is not None and stored.header is not None:
        if target.others(target_id):
            raise rbd_error(errno.EBUSY, f"{name} is open")
        if stored.header.link is None:
            raise rbd_error(errno.EINVAL, "the target has no migration header")
        if any(snapshot.in_trash for snapshot in stored.header.snapshots.values()):
            raise rbd_error(errno.ENOENT, "a snapshot of the target is half removed")
        target.cluster.event("abort", header=stored.header, **about)
        source.set_state(source_id, ABORTING)
        if stored.header.link.state != PREPARING:
            target.set_state(target_id, ABORTING)
            _copy_back(source, source_id, target, target_id, on_progress)
        for number in list(target.header(target_id).snapshots):
            target.snap_remove(target_id, number)
        target.write(f"rbd_header.{target_id}", lambda *_: False)
        own = target.read("rbd_directory", lambda found: found.omap.get("id_" + target_id))
        listed = own[4:].decode() if own else ""
        if listed and target.id_of(listed) == target_id:
            target.write(f"rbd_id.{listed}", lambda *_: False)
            target.method("rbd_directory", "dir_remove_image", string(listed) + string(target_id))
    else:
        source.set_state(source_id, ABORTING)
    _give_back(source, source_id)
    target.cluster.event("aborted", **about)


def _in_trash(source: Spot, ident: str) -> bool:
    return bool(source.read("rbd_trash", lambda found: "id_" + ident in found.omap))


def _copy_back(
    source: Spot, source_id: str, target: Spot, target_id: str, on_progress: Progress
) -> None:
    """The head's objects that the target has; holes, snapshots and the size are lost."""
    copied = sorted(target.header(target_id).blocks.items())
    for done, (number, data) in enumerate(copied):
        _tell(on_progress, done, len(copied))

        def change(made: Header, number: int = number, data: bytes = data) -> None:
            if number * BLOCK < made.size:
                made.blocks[number] = data

        source.edit(source_id, change)


def _give_back(source: Spot, ident: str) -> None:
    """Out of the trash, under its name, without its migration header."""
    entry: Any = source.read("rbd_trash", lambda found: found.omap.get("id_" + ident))
    if entry is None:
        raise rbd_error(errno.ENOENT, "the source is not in the trash")
    size = int.from_bytes(entry[7:11], "little")  # behind the frame and the kind of entry
    name = entry[11 : 11 + size].decode()
    holder = source.id_of(name)
    if holder not in (None, ident):
        raise rbd_error(errno.EEXIST, f"{name} is another image")
    if holder is None:
        source.method(f"rbd_id.{name}", "set_id", string(ident))
    listed = source.read("rbd_directory", lambda found: "id_" + ident in found.omap)
    if not listed:
        source.method("rbd_directory", "dir_add_image", string(name) + string(ident))
    source.method("rbd_trash", "trash_remove", string(ident))
    source.edit(ident, lambda h: setattr(h, "link", None))
