"""The acts of the method ``warm`` on the fake cluster: whole contents at once, names step by step.

What they leave when they are killed is what the real ones leave. That those copy right is for
tests on real clusters.
"""

from __future__ import annotations

import errno
from typing import Any

from rbdmigrate.model.copy_mark import CopyMark
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.answers import Armed, CutOverDone, Finished, Prepared, Synchronized
from rbdmigrate.model.jobs.protocol import Published
from rbdmigrate.model.rounds import hidden_name, round_prefix, round_snapshot

from . import stdlib
from .cls_rbd import string
from .cluster import BLOCK, Header, Object
from .images import EXCLUSIVE_LOCK, Spot

_WARM, _COPY = "rbd_migration.warm", "rbd_migration.copy"


class Sides:
    """Both images of a job, by a worker's clients."""

    def __init__(self, session: Any, ends: acts.WarmEnds) -> None:
        self.ends = ends
        self.source = Spot.of(session.open(ends.source))
        self.target = Spot.of(session.open(ends.target))
        self.hidden = hidden_name(ends.id)

    @property
    def published(self) -> bool:
        """The target's name leads to the target."""
        return self.target.id_of(self.ends.target.image) == self.ends.target.image_id

    def round(self) -> tuple[str, int]:
        """Copy all that differs; the name of the snapshot of it, and how many bytes that were."""
        old, new, ident = self.source, self.target, self.ends.source.image_id
        name = round_snapshot(self.ends.id, old.cluster.number())
        old.snap_create(ident, name)
        header = old.header(ident)
        content = old.content(ident, old.snapshot_id(header, name))
        before = new.content(self.ends.target.image_id)
        changed = [n for n in content.keys() | before.keys() if content.get(n) != before.get(n)]

        def copy(made: Header) -> None:
            made.blocks, made.size = dict(content), header.size

        new.edit(self.ends.target.image_id, copy)
        new.snap_create(self.ends.target.image_id, name)
        for spot, image in ((old, ident), (new, self.ends.target.image_id)):
            drop_rounds(spot, image, self.ends.id, name)
        mark = CopyMark(until=0, synchronized=True).to_json()
        set_metadata(new, self.ends.target.image_id, _COPY, mark)
        return name, len(changed) * BLOCK


def set_metadata(spot: Spot, ident: str, key: str, value: str) -> None:
    """An entry of an image's metadata."""

    def change(made: Object, there: bool) -> None:
        made.omap[f"metadata_{key}"] = value.encode()

    spot.write(f"rbd_header.{ident}", change)


def metadata(spot: Spot, ident: str, key: str) -> Any:
    """An entry of an image's metadata, or None."""
    return spot.read(f"rbd_header.{ident}", lambda stored: stored.omap.get(f"metadata_{key}"))


def drop_rounds(spot: Spot, ident: str, migration: str, keep: str = "") -> None:
    """Remove the snapshots of rounds, but for ``keep``."""
    for number, snapshot in list(spot.header(ident).snapshots.items()):
        if snapshot.name.startswith(round_prefix(migration)) and snapshot.name != keep:
            spot.snap_remove(ident, number)


def refuse_open(spot: Spot, ident: str) -> None:
    """Raise MigrationError(EBUSY) while a client has the image open."""
    if any(client.process.running for client in spot.others(ident)):
        raise MigrationError(errno.EBUSY, f"{ident} is open for writing by a client.")


def unname(spot: Spot, name: str, ident: str) -> None:
    """Take its name, and its place in the directory, from an image."""
    if spot.id_of(name) == ident:
        spot.write(f"rbd_id.{name}", lambda *_: False)
    if listed(spot, ident) == name:
        spot.method("rbd_directory", "dir_remove_image", string(name) + string(ident))


def listed(spot: Spot, ident: str) -> str:
    """The name under which an image is listed; empty without one."""
    raw = spot.read("rbd_directory", lambda stored: stored.omap.get(f"id_{ident}"))
    return raw[4:].decode() if raw else ""


def give_name(spot: Spot, name: str, ident: str) -> None:
    """Let the name lead to an image, wherever it led before, in one write."""
    if spot.id_of(name) != ident:
        spot.method(f"rbd_id.{name}", "set_id", string(ident))


def list_as(spot: Spot, name: str, ident: str) -> None:
    """List an image that has its name."""
    raw = spot.read("rbd_directory", lambda stored: stored.omap.get(f"name_{name}"))
    other = raw[4:].decode() if raw else ""
    if other and other != ident:
        spot.method("rbd_directory", "dir_remove_image", string(name) + string(other))
    former = listed(spot, ident)
    if former != name:
        if former:
            unname(spot, former, ident)
        spot.method("rbd_directory", "dir_add_image", string(name) + string(ident))


def remove(spot: Spot, name: str, ident: str) -> None:
    """Remove an image with its names."""
    unname(spot, name, ident)
    if listed(spot, ident):
        unname(spot, listed(spot, ident), ident)
    if spot.stored(ident) is not None:
        spot.write(f"rbd_header.{ident}", lambda *_: False)
    spot_trash(spot, ident)


def spot_trash(spot: Spot, ident: str) -> None:
    """Remove an image's entry in the trash."""
    if spot.read("rbd_trash", lambda stored: f"id_{ident}" in stored.omap):
        spot.method("rbd_trash", "trash_remove", string(ident))


def prepare(session: Any, ends: acts.WarmEnds, act: acts.Prepare, tell: Any) -> Prepared:
    sides = Sides(session, ends)
    spot = sides.target
    size = sides.source.header(ends.source.image_id)
    ident = f"w{spot.cluster.number():x}"
    give_name(spot, sides.hidden, ident)
    spot.make(ident, Header(sides.hidden, size.size, size.features))
    spot.method("rbd_directory", "dir_add_image", string(sides.hidden) + string(ident))
    set_metadata(spot, ident, _WARM, ends.id)
    return Prepared(ident, None, None)


def undo_prepare(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    remove(sides.target, sides.hidden, sides.target.id_of(sides.hidden) or "")
    return Finished()


def execute(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Synchronized:
    sides, ident = Sides(session, ends), ends.source.image_id
    if not sides.source.header(ident).features & EXCLUSIVE_LOCK:
        refuse_open(sides.source, ident)
    begun = stdlib.time.time()
    point, copied = sides.round()
    return Synchronized(point, 1, copied, stdlib.time.time() - begun, begun, copied)


def arm(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Armed:
    return Armed(execute(session, ends, act, tell), 0.1, 60.0)


def cut_over(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> CutOverDone:
    sides = Sides(session, ends)
    old, new, name = sides.source, sides.target, ends.source.image
    ident, point, copied = ends.source.image_id, "", 0
    if act.undo and not sides.published:
        give_name(old, name, ident)
        list_as(old, name, ident)
        spot_trash(old, ident)
        raise MigrationError(errno.EBUSY, "The clients could not wait.")
    if not sides.published:
        refuse_open(old, ident)
        old.method("rbd_trash", "trash_add", string(ident) + string(name))
        if not ends.in_place:
            unname(old, name, ident)
        point, copied = sides.round()
        give_name(new, ends.target.image, ends.target.image_id)
        tell(Published())
    list_as(new, ends.target.image, ends.target.image_id)
    unname(new, sides.hidden, ends.target.image_id)
    return CutOverDone(point or _point(sides), 0.5, copied)


def _point(sides: Sides) -> str:
    header = sides.target.header(sides.ends.target.image_id)
    ours = [s.name for s in header.snapshots.values() if round_prefix(sides.ends.id) in s.name]
    return ours[-1]


def commit(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    assert sides.published, "the source is removed although the target has not its name"
    if not ends.in_place:
        unname(sides.source, ends.source.image, ends.source.image_id)
    remove(sides.source, ends.source.image, ends.source.image_id)
    make_ordinary(sides)
    return Finished()


def publish(sides: Sides, *, cut_over: bool) -> bool:
    """Make a target whose source is gone an ordinary image; False where no round is complete."""
    spot, ends = sides.target, sides.ends
    ident = ends.target.image_id
    if spot.stored(ident) is None:
        return False
    header = spot.header(ident)
    rounds = [n for n, s in header.snapshots.items() if s.name.startswith(round_prefix(ends.id))]
    if not sides.published and not rounds:
        return False
    if not sides.published and not cut_over:
        content = spot.content(ident, rounds[-1])

        def back(made: Header) -> None:
            made.blocks = dict(content)

        spot.edit(ident, back)
    if spot.id_of(ends.target.image) not in (None, ident):
        raise MigrationError(errno.EEXIST, f"Another image has the name {ends.target.image}.")
    give_name(spot, ends.target.image, ident)
    list_as(spot, ends.target.image, ident)
    unname(spot, sides.hidden, ident)
    spot_trash(spot, ident)
    make_ordinary(sides)
    return True


def make_ordinary(sides: Sides) -> None:
    """Remove the snapshots and marks of the migration from a target that has its name."""
    ident = sides.ends.target.image_id
    drop_rounds(sides.target, ident, sides.ends.id)
    for key in (_COPY, _WARM):
        sides.target.method(f"rbd_header.{ident}", "metadata_remove", string(key))


def abort(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    if sides.source.stored(ends.source.image_id) is None:
        if not publish(sides, cut_over=act.cut_over):
            remove(sides.target, sides.hidden, ends.target.image_id)
        return Finished()
    old, new, ident = sides.source, sides.target, ends.source.image_id
    begun = sides.published or metadata(old, ident, _COPY)
    if act.undo and begun and old.id_of(ends.source.image) != ident:
        give_name(new, ends.target.image, ends.target.image_id)
        raise MigrationError(errno.EBUSY, "The clients could not wait.")
    if sides.published:
        refuse_open(new, ends.target.image_id)
        set_metadata(old, ident, _COPY, "back")
        if not ends.in_place:
            unname(new, ends.target.image, ends.target.image_id)
    if metadata(old, ident, _COPY) and old.id_of(ends.source.image) != ident:
        content = new.content(ends.target.image_id)

        def back(made: Header) -> None:
            made.blocks = dict(content)

        old.edit(ident, back)
    give_name(old, ends.source.image, ident)
    list_as(old, ends.source.image, ident)
    spot_trash(old, ident)
    old.method(f"rbd_header.{ident}", "metadata_remove", string(_COPY))
    drop_rounds(old, ident, ends.id)
    remove(new, sides.hidden, ends.target.image_id)
    return Finished()


def drop_point(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    for spot, place in ((sides.source, ends.source), (sides.target, ends.target)):
        if place.image_id and spot.stored(place.image_id) is not None:
            drop_rounds(spot, place.image_id, ends.id)
    return Finished()


OPERATIONS = {
    acts.Prepare: prepare,
    acts.UndoPrepare: undo_prepare,
    acts.Execute: execute,
    acts.Arm: arm,
    acts.CutOver: cut_over,
    acts.Commit: commit,
    acts.FinishCommit: commit,
    acts.Abort: abort,
    acts.DropPoint: drop_point,
}
