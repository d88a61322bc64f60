"""The acts of the method ``warm`` on the fake cluster: whole contents at once, names step by step.

What they leave when they are killed is what the real ones leave. That those copy right is for
tests on real clusters. The cluster's log is told when a name changes hands (``cut_over``,
``went_back``; with ``_not``: it was taken back), when source or copy are about to be removed, and
when a reverse round begins (``copies_back``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rbdmigrate.model.copy_mark import CopyMark
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.answers import (
    Armed,
    CopiedBack,
    CutOverDone,
    Finished,
    Prepared,
    Synchronized,
)
from rbdmigrate.model.jobs.protocol import Published
from rbdmigrate.model.rounds import hidden_name, round_prefix, round_snapshot

from . import stdlib
from .cls_rbd import string
from .cluster import BLOCK, Header, Object, Snapshot
from .images import EXCLUSIVE_LOCK, Spot
from .names import give_name, list_as, remove, trash, unname

_WARM, _COPY = "rbd_migration.warm", "rbd_migration.copy"


@dataclass(frozen=True)
class End:
    """An image of a job, by a worker's client, and the name that it has or gets."""

    spot: Spot
    name: str
    ident: str

    @property
    def named(self) -> bool:
        """Whether the name leads to it."""
        return self.spot.id_of(self.name) == self.ident

    @property
    def there(self) -> bool:
        """Whether the image exists."""
        return self.spot.stored(self.ident) is not None

    @property
    def used(self) -> bool:
        """Whether a client that lives has it open for writing."""
        return any(client.process.running for client in self.spot.others(self.ident))

    def refuse_open(self) -> None:
        """Raise MigrationError(EBUSY) while a client has it open."""
        if self.used:
            raise MigrationError(errno.EBUSY, f"{self.ident} is open for writing by a client.")

    @property
    def locked_out(self) -> bool:
        """Whether clients are locked out of it."""
        return self.spot.header(self.ident).locked_out

    def lock_out(self, locked: bool = True) -> None:
        """Lock clients out, or let them in."""

        def change(made: Header) -> None:
            made.locked_out = locked

        if self.there and self.locked_out is not locked:
            self.spot.edit(self.ident, change)

    def restore(self, former: str = "") -> None:
        """Give it its name, which may lead to ``former``, and let clients in."""
        give_name(self.spot, self.name, self.ident, former)
        list_as(self.spot, self.name, self.ident)
        self.lock_out(False)

    def drop_rounds(self, migration: str, *keep: str) -> None:
        """Remove the snapshots of rounds, but for ``keep``."""
        if self.there:
            drop_rounds(self.spot, self.ident, migration, *keep)


class Sides:
    """Both images of a job."""

    def __init__(self, session: Any, ends: acts.WarmEnds) -> None:
        self.ends = ends
        source, target = Spot.of(session.open(ends.source)), Spot.of(session.open(ends.target))
        self.source = End(source, ends.source.image, ends.source.image_id)
        self.target = End(target, ends.target.image, ends.target.image_id)
        self.hidden = hidden_name(ends.id)

    def refuse_migrating(self) -> None:
        """Raise MigrationError(EBUSY) while somebody migrates one of them with plain ``rbd``."""
        for end in (self.source, self.target):
            if end.there and end.spot.header(end.ident).link is not None:
                raise MigrationError(errno.EBUSY, f"{end.ident} is migrated with plain rbd.")

    def event(self, kind: str) -> None:
        """Tell the cluster's log."""
        spot = self.source.spot
        ids = {"source": self.source.ident, "target": self.target.ident}
        spot.cluster.event(kind, client=spot.client, **ids)

    def exchange(self, *, back: bool = False) -> Exchange:
        """The cutover, or the way ``back``."""
        old, new = (self.target, self.source) if back else (self.source, self.target)
        former = self.source.name if back else self.hidden
        return Exchange(self, old, new, former, "went_back" if back else "cut_over")


@dataclass(frozen=True)
class Exchange:
    """``old`` loses its name, ``new`` gets one; ``event`` is what that is called."""

    sides: Sides
    old: End
    new: End
    former: str
    event: str

    @property
    def _in_place(self) -> bool:
        return self.sides.ends.in_place

    def undo(self) -> None:
        """``old`` has its name again, and clients are let in to both."""
        self.old.restore()
        self.new.lock_out(False)

    def run(self, *, undo: bool, told: Callable[[], None]) -> tuple[str, int]:
        """Do it, or complete it. The snapshot of it and bytes; empty when only completed."""
        done = ("", 0)
        begun = self.new.named
        if not begun:
            self.undo()
        if not begun and undo:
            raise MigrationError(errno.EBUSY, "The clients could not wait.")
        try:
            if not begun:
                done = self._do()
                told()
            self._require_left()
        except Exception:
            if not self.new.named:
                self.undo()
            raise
        self._complete()
        return done

    def _do(self) -> tuple[str, int]:
        old = self.old
        old.refuse_open()
        trash(old.spot, old.name, old.ident)
        if not self._in_place:
            unname(old.spot, old.name, old.ident)
        comparison_snapshot, copied = copy_round(self.sides, self.old, self.new)
        old.lock_out()
        self._require_unchanged(comparison_snapshot)
        former = old.ident if self._in_place else ""
        give_name(
            self.new.spot,
            self.new.name,
            self.new.ident,
            former,
            lambda: self.sides.event(self.event),
        )
        return comparison_snapshot, copied

    def _require_unchanged(self, comparison_snapshot: str) -> None:
        header = self.old.spot.header(self.old.ident)
        number, snapshot = max(header.snapshots.items())
        same = snapshot.name == comparison_snapshot and header.size == snapshot.size
        same = same and self._of_users(self.old) == self._of_users(self.new)
        if not same or header.blocks != header.snapshots[number].blocks or self.old.used:
            raise MigrationError(errno.EBUSY, f"{self.old.ident} was written to meanwhile.")

    def _of_users(self, end: End) -> set[str]:
        """The names of the snapshots of an image that users made."""
        snapshots = end.spot.header(end.ident).snapshots.values()
        own = round_prefix(self.sides.ends.id)
        return {s.name for s in snapshots if not s.in_trash and not s.name.startswith(own)}

    def _require_left(self) -> None:
        """Take the name back where a client opened ``old`` in the last moment."""
        if not self.old.there or not self.old.locked_out or not self.old.used:
            return
        self.new.lock_out()
        if self.new.used:
            self.new.lock_out(False)
            return
        taken = f"{self.event}_not"
        if self._in_place:
            old, new = self.old, self.new
            give_name(old.spot, old.name, old.ident, new.ident, lambda: self.sides.event(taken))
        else:
            unname(self.new.spot, self.new.name, self.new.ident)
            self.sides.event(taken)
        self.old.refuse_open()

    def _complete(self) -> None:
        self.new.lock_out(False)
        if self.old.there:
            trash(self.old.spot, self.old.name, self.old.ident)
            if not self._in_place:
                unname(self.old.spot, self.old.name, self.old.ident)
        list_as(self.new.spot, self.new.name, self.new.ident)
        if self.former != self.new.name:
            unname(self.new.spot, self.former, self.new.ident)


def copy_round(sides: Sides, old: End, new: End, stays: str = "") -> tuple[str, int]:
    """Copy all that differs; the name of the snapshot of it, and how many bytes that were.

    ``stays``: the name of an older snapshot of a round that is kept.
    """
    name = round_snapshot(sides.ends.id, old.spot.cluster.number())
    old.spot.snap_create(old.ident, name)
    header = old.spot.header(old.ident)
    number = old.spot.snapshot_id(header, name)
    view = header.snapshots[number]
    users = {
        s.name: s
        for n, s in header.snapshots.items()
        if n < number and not s.in_trash and not s.name.startswith(round_prefix(sides.ends.id))
    }
    before = new.spot.header(new.ident).blocks
    changed = [n for n in view.blocks.keys() | before.keys() if view.blocks.get(n) != before.get(n)]
    numbers = {each: new.spot.cluster.number() for each in users}
    own = new.spot.cluster.number()

    def copy_half(made: Header) -> None:
        made.blocks |= {n: view.blocks[n] for n in changed[::2] if n in view.blocks}

    if len(changed) > 1:
        new.spot.edit(new.ident, copy_half)

    def copy(made: Header) -> None:
        """Also the snapshots that users made or removed, and that of the round."""
        kept = {
            n: s
            for n, s in made.snapshots.items()
            if s.name.startswith(round_prefix(sides.ends.id)) or s.name in users
        }
        there = {s.name for s in kept.values()}
        for each, snapshot in users.items():
            if each not in there:
                kept[numbers[each]] = Snapshot(each, snapshot.size, dict(snapshot.blocks))
        kept[own] = Snapshot(name, view.size, dict(view.blocks))
        made.snapshots, made.blocks, made.size = kept, dict(view.blocks), view.size

    new.spot.edit(new.ident, copy)
    for end in (old, new):
        end.drop_rounds(sides.ends.id, name, stays)
    mark = CopyMark(number, (number,), (own,), base=number, synchronized=True).to_json()
    set_metadata(new.spot, new.ident, _COPY, mark)
    return name, len(changed) * BLOCK


def set_metadata(spot: Spot, ident: str, key: str, value: str) -> None:
    """An entry of an image's metadata."""

    def change(made: Object, there: bool) -> None:
        made.omap[f"metadata_{key}"] = value.encode()

    spot.write(f"rbd_header.{ident}", change)


def metadata(spot: Spot, ident: str, key: str) -> Any:
    """An entry of an image's metadata, or None."""
    return spot.read(f"rbd_header.{ident}", lambda stored: stored.omap.get(f"metadata_{key}"))


def drop_rounds(spot: Spot, ident: str, migration: str, *keep: str) -> None:
    """Remove the snapshots of rounds, but for ``keep``."""
    for number, snapshot in list(spot.header(ident).snapshots.items()):
        if snapshot.name.startswith(round_prefix(migration)) and snapshot.name not in keep:
            spot.snap_remove(ident, number)


def prepare(session: Any, ends: acts.WarmEnds, act: acts.Prepare, tell: Any) -> Prepared:
    sides = Sides(session, ends)
    spot = sides.target.spot
    left = spot.id_of(sides.hidden)
    if left is not None:
        remove(spot, sides.hidden, left)
    size = sides.source.spot.header(ends.source.image_id)
    ident = f"w{spot.cluster.number():x}"
    give_name(spot, sides.hidden, ident)
    spot.make(ident, Header(sides.hidden, size.size, size.features))
    spot.method("rbd_directory", "dir_add_image", string(sides.hidden) + string(ident))
    set_metadata(spot, ident, _WARM, ends.id)
    return Prepared(ident, None, None)


def undo_prepare(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    spot = sides.target.spot
    remove(spot, sides.hidden, spot.id_of(sides.hidden) or "")
    return Finished()


def execute(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Synchronized:
    sides = Sides(session, ends)
    sides.refuse_migrating()
    if not sides.source.spot.header(sides.source.ident).features & EXCLUSIVE_LOCK:
        sides.source.refuse_open()
    begun = stdlib.time.time()
    comparison_snapshot, copied = copy_round(sides, sides.source, sides.target)
    sides.source.spot.header(sides.source.ident)  # images are closed before it answers
    return Synchronized(comparison_snapshot, 1, copied, stdlib.time.time() - begun, begun, copied)


def arm(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Armed:
    return Armed(execute(session, ends, act, tell), 0.1, 60.0)


def reverse_round(
    session: Any, ends: acts.WarmEnds, act: acts.ReverseRound, tell: Any
) -> CopiedBack:
    sides = Sides(session, ends)
    sides.refuse_migrating()
    source, target = sides.source, sides.target
    if not source.there:
        raise MigrationError(errno.ENOENT, "The source is gone.")
    if source.named or not target.named:
        raise MigrationError(errno.ESTALE, "The source is not kept.")
    source.refuse_open()
    if not target.spot.header(target.ident).features & EXCLUSIVE_LOCK:
        target.refuse_open()
    source.lock_out(False)
    if not metadata(source.spot, source.ident, _COPY):
        set_metadata(source.spot, source.ident, _COPY, "back")
    begun = stdlib.time.time()
    sides.event("copies_back")
    try:
        name, copied = _newest_round(sides), 0
        header = target.spot.header(target.ident)
        if header.blocks != header.snapshots[target.spot.snapshot_id(header, name)].blocks:
            name, copied = copy_round(sides, target, source, act.comparison_snapshot)
    except Exception:
        source.lock_out()
        raise
    source.lock_out()
    return CopiedBack(name, copied, stdlib.time.time() - begun, begun, 0.1)


def _newest_round(sides: Sides) -> str:
    header = sides.target.spot.header(sides.target.ident)
    ours = {n: s for n, s in header.snapshots.items() if round_prefix(sides.ends.id) in s.name}
    return ours[max(ours)].name


def cut_over(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> CutOverDone:
    sides = Sides(session, ends)
    sides.refuse_migrating()
    exchange = sides.exchange()
    comparison_snapshot, copied = exchange.run(undo=act.undo, told=lambda: tell(Published()))
    return CutOverDone(comparison_snapshot or _point(sides), 0.5, copied)


def _point(sides: Sides) -> str:
    return _newest_round(sides)


def commit(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    sides.refuse_migrating()
    assert sides.target.named, "the source is removed although the target has not its name"
    source = sides.source
    if source.there:
        sides.event("commit")
        source.lock_out(False)
    remove(source.spot, source.name, source.ident)
    make_ordinary(sides)
    return Finished()


def publish(sides: Sides, *, cut_over: bool) -> bool:
    """Make a target whose source is gone an ordinary image; False where no round is complete."""
    spot, name, ident = sides.target.spot, sides.target.name, sides.target.ident
    if not sides.target.there:
        return False
    header = spot.header(ident)
    rounds = [
        n for n, s in header.snapshots.items() if s.name.startswith(round_prefix(sides.ends.id))
    ]
    if not sides.target.named and not rounds:
        return False
    if not sides.target.named and not cut_over:
        content = spot.content(ident, rounds[-1])

        def back(made: Header) -> None:
            made.blocks = dict(content)

        spot.edit(ident, back)
    give_name(spot, name, ident)
    list_as(spot, name, ident)
    unname(spot, sides.hidden, ident)
    make_ordinary(sides)
    return True


def make_ordinary(sides: Sides) -> None:
    """Remove the snapshots and marks of the migration from a target that has its name."""
    sides.target.drop_rounds(sides.ends.id)
    for key in (_COPY, _WARM):
        oid = f"rbd_header.{sides.target.ident}"
        sides.target.spot.method(oid, "metadata_remove", string(key))


def abort(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    sides.refuse_migrating()
    source, target = sides.source, sides.target
    if not source.there:
        if not publish(sides, cut_over=act.cut_over):
            remove(target.spot, sides.hidden, target.ident)
        return Finished()
    begun = metadata(source.spot, source.ident, _COPY)
    if target.there and (target.named or begun):
        _go_back(sides, act)
    elif not source.named or source.locked_out:
        source.restore()
    sides.event("copy_removed")
    source.spot.method(f"rbd_header.{source.ident}", "metadata_remove", string(_COPY))
    source.drop_rounds(ends.id)
    target.lock_out(False)
    unname(target.spot, target.name, target.ident)
    remove(target.spot, sides.hidden, target.ident)
    return Finished()


def _go_back(sides: Sides, act: Any) -> None:
    exchange = sides.exchange(back=True)
    source = sides.source
    if act.undo:
        if not source.named:
            exchange.undo()
            source.lock_out()
            raise MigrationError(errno.EBUSY, "The clients could not wait.")
    elif not source.named:
        source.lock_out(False)
        set_metadata(source.spot, source.ident, _COPY, "back")
    try:
        exchange.run(undo=False, told=lambda: None)
    except Exception:
        if not source.named:
            source.lock_out()
        raise


def remove_comparison_snapshot(session: Any, ends: acts.WarmEnds, act: Any, tell: Any) -> Finished:
    sides = Sides(session, ends)
    for end in (sides.source, sides.target):
        if end.ident:
            end.drop_rounds(ends.id)
    return Finished()


ACTS = {
    acts.Prepare: prepare,
    acts.UndoPrepare: undo_prepare,
    acts.Execute: execute,
    acts.Arm: arm,
    acts.ReverseRound: reverse_round,
    acts.CutOver: cut_over,
    acts.Commit: commit,
    acts.FinishCommit: commit,
    acts.Abort: abort,
    acts.RemoveComparisonSnapshot: remove_comparison_snapshot,
}
