"""Images on the fake cluster: the small writes of which librbd's acts consist, and contents.

A *place* is a client, a pool, a namespace: an ioctx. Each write is one operation, between any two
of which a process may be killed.
"""

from __future__ import annotations

import errno
from typing import Any, Callable, NamedTuple, Optional

from . import cls_rbd, errors
from .cls_rbd import Link
from .cluster import BLOCK, Client, Cluster, Header, Object, Snapshot

ERROR, PREPARING, PREPARED, EXECUTING, EXECUTED, ABORTING = range(6)
EXCLUSIVE_LOCK = 1 << 2
_RETRY = 0.5  # seconds between two tries to have the lock of a client that does not answer


def refuse_source(header: Header) -> None:
    """The source of a migration is read-only, also for those who opened it before.

    A client that is locked out would wait until it is let in; here its request fails.
    """
    if header.link is not None and header.link.is_source:
        raise errors.rbd_error(errno.EROFS, f"{header.name} migrates")
    if header.locked_out:
        raise errors.rbd_error(errno.EROFS, f"{header.name} is locked")


class Spot(NamedTuple):
    """Where images are, and who acts there."""

    cluster: Cluster
    client: Client
    pool_id: int
    namespace: str

    @classmethod
    def of(cls, ioctx: Any) -> Spot:
        """That of an ioctx."""
        return cls(ioctx.cluster, ioctx.client, ioctx.pool_id, ioctx.namespace)

    def at(self, pool_id: int, namespace: str) -> Spot:
        """The same client elsewhere."""
        return self._replace(pool_id=pool_id, namespace=namespace)

    def write(self, oid: str, *changes: Callable[[Object, bool], Optional[bool]]) -> None:
        """One atomic write."""
        self.cluster.write(self.client, self.pool_id, self.namespace, oid, *changes)

    def method(self, oid: str, method: str, data: bytes) -> None:
        """A class method of RBD that writes."""
        self.write(
            oid,
            lambda made, there: cls_rbd.change(self.cluster, made, there, "rbd", method, data),
        )

    def read(self, oid: str, look: Callable[[Object], Any]) -> Any:
        """What ``look`` says of the object; None without it."""
        try:
            return self.cluster.read(self.client, self.pool_id, self.namespace, oid, look)
        except errors.ObjectNotFound:
            return None

    # -- names ---------------------------------------------------------------------------------

    def id_of(self, name: str) -> Optional[str]:
        """The id of the image called ``name``."""
        found = self.read(f"rbd_id.{name}", lambda stored: stored.data[4:].decode())
        return str(found) if found is not None else None

    def trashed_as(self, name: str) -> Optional[str]:
        """The id of the image of that name which a migration put into the trash."""
        entry = cls_rbd.trash_spec(name)
        key = self.read("rbd_trash", lambda stored: stored.omap.key_of(entry))
        return key[3:] if key is not None else None

    def resolve(self, name: str) -> str:
        """The id of an image by its name, also of a source in the trash. Raises ENOENT."""
        ident = self.id_of(name) or self.trashed_as(name)
        if ident is None:
            raise errors.rbd_error(errno.ENOENT, f"no image {name}")
        return ident

    # -- headers -------------------------------------------------------------------------------

    def stored(self, ident: str) -> Optional[Object]:
        """An image's header object, as it is now; not to be changed."""
        found: Optional[Object] = self.read(f"rbd_header.{ident}", lambda stored: stored)
        return found

    def header(self, ident: str) -> Header:
        """An image's header. Raises ENOENT."""
        found = self.stored(ident)
        if found is None or found.header is None:
            raise errors.rbd_error(errno.ENOENT, f"no image {ident}")
        return found.header

    def edit(self, ident: str, change: Callable[[Header], None]) -> None:
        """One write to the header."""

        def apply(made: Object, there: bool) -> None:
            if not there or made.header is None:
                raise errors.rbd_error(errno.ENOENT, f"no image {ident}")
            change(made.header)

        self.write(f"rbd_header.{ident}", apply)

    def make(self, ident: str, header: Header) -> None:
        """A new header object."""

        def create(made: Object, there: bool) -> None:
            if there:
                raise errors.rbd_error(errno.EEXIST, f"{ident} exists")
            made.header = header

        self.write(f"rbd_header.{ident}", create)

    def set_state(self, ident: str, state: int) -> None:
        """Write the migration state into a header that has one."""

        def change(header: Header) -> None:
            if header.link is None:
                raise errors.rbd_error(errno.EINVAL, f"{ident} does not migrate")
            header.link.state = state

        self.edit(ident, change)

    def others(self, ident: str) -> list[Client]:
        """The clients but for ours that have the image open for writing."""
        found = self.stored(ident)
        if found is None:
            return []
        return [client for client in self.cluster.watchers(found) if client is not self.client]

    def take_lock(self, ident: str) -> bool:
        """Become the holder of the exclusive lock; a client that answers gives it up.

        One that is gone is waited for until its watch has expired. False without the feature.
        """
        while True:
            header = self.header(ident)
            if not header.features & EXCLUSIVE_LOCK:
                return False
            if header.lock == self.client.number:
                return True
            holder = self.cluster.clients.get(header.lock or 0)
            if holder is None or holder.process.running or not self.cluster.present(holder):
                break
            self.cluster.simulation.sleep(_RETRY)
        self.edit(ident, self._hold)
        return True

    def _hold(self, header: Header) -> None:
        header.lock = self.client.number

    def drop_lock(self, ident: str) -> None:
        """Give the lock up, if we hold it."""
        found = self.stored(ident)
        if found is None or found.header is None or found.header.lock != self.client.number:
            return

        def change(header: Header) -> None:
            if header.lock == self.client.number:
                header.lock = None

        self.edit(ident, change)

    def holds_lock(self, ident: str) -> bool:
        """Whether we hold the lock."""
        return self.header(ident).lock == self.client.number

    def held_by_other(self, ident: str) -> bool:
        """Whether a client that answers holds the lock, which then does what others ask for."""
        holder = self.cluster.clients.get(self.header(ident).lock or 0)
        return (
            holder is not None
            and holder is not self.client
            and holder.process.running
            and self.cluster.present(holder)
        )

    # -- contents ------------------------------------------------------------------------------

    def source_of(self, header: Header) -> Optional[tuple[Spot, Link]]:
        """Where a target reads what it does not have yet; None for other images."""
        link = header.link
        if link is None or link.is_source or link.state not in (PREPARED, EXECUTING):
            return None
        return self.at(link.pool_id, link.namespace), link

    def content(self, ident: str, snapshot: Optional[int] = None) -> dict[int, bytes]:
        """What a view of the image reads as: its objects that are not holes."""
        header = self.header(ident)
        stored = header.blocks if snapshot is None else header.snapshots[snapshot].blocks
        size = header.size if snapshot is None else header.snapshots[snapshot].size
        below = self.source_of(header)
        found = dict(stored)
        if below is not None:
            spot, link = below
            source = spot.header(link.image_id)
            old = next((o for o, new in link.snapshots.items() if new == snapshot), None)
            beneath = source.blocks if old is None else source.snapshots[old].blocks
            for number, data in beneath.items():
                if number not in header.here:
                    found.setdefault(number, data)
        return {number: data for number, data in found.items() if number * BLOCK < size}

    def copy_object(self, ident: str, number: int) -> None:
        """Copy an object with all its views from the source; at once, unlike librbd."""
        header = self.header(ident)
        below = self.source_of(header)
        if below is None or number in header.here:
            return
        spot, link = below
        source = spot.header(link.image_id)

        def change(made: Header) -> None:
            if number in made.here or number * BLOCK >= made.size or made.link is None:
                return  # a client was quicker
            made.here.add(number)
            carried = {new: old for old, new in made.link.snapshots.items()}
            for new, snapshot in made.snapshots.items():
                old = source.snapshots.get(carried.get(new, 0))
                data = (source if old is None else old).blocks.get(number)
                if data is not None and number * BLOCK < snapshot.size:
                    snapshot.blocks[number] = data
            if number in source.blocks:
                made.blocks[number] = source.blocks[number]

        self.edit(ident, change)

    def put(self, ident: str, number: int, data: Optional[bytes]) -> None:
        """Write an object of the head, None: discard it. What lies below is copied first."""
        self.copy_object(ident, number)

        def change(made: Header) -> None:
            refuse_source(made)
            if data is None:
                made.blocks.pop(number, None)
            else:
                made.blocks[number] = data

        self.edit(ident, change)

    # -- snapshots and size --------------------------------------------------------------------

    def snapshot_id(self, header: Header, name: str) -> int:
        """The number of the snapshot called ``name``. Raises ENOENT."""
        for number, snapshot in header.snapshots.items():
            if snapshot.name == name and not snapshot.in_trash:
                return number
        raise errors.rbd_error(errno.ENOENT, f"no snapshot {name}")

    def snap_create(self, ident: str, name: str) -> None:
        """Take a snapshot of the head."""
        number = self.cluster.number()

        def change(made: Header) -> None:
            refuse_source(made)
            if any(s.name == name and not s.in_trash for s in made.snapshots.values()):
                raise errors.rbd_error(errno.EEXIST, f"{name} exists")
            made.snapshots[number] = Snapshot(name, made.size, dict(made.blocks))

        self.edit(ident, change)

    def snap_remove(self, ident: str, number: int) -> None:
        """Remove a snapshot, in two writes as librbd does."""

        def begin(made: Header) -> None:
            if made.locked_out:
                refuse_source(made)
            if number in made.snapshots:
                made.snapshots[number].in_trash = True

        def end(made: Header) -> None:
            made.snapshots.pop(number, None)
            if made.link is not None and not made.link.is_source:
                carried = made.link.snapshots.items()
                made.link.snapshots = {old: new for old, new in carried if new != number}

        self.edit(ident, begin)
        self.edit(ident, end)

    def resize(self, ident: str, size: int) -> None:
        """Change the size; what was cut off does not come back."""

        def change(made: Header) -> None:
            refuse_source(made)
            for number in range(-(-size // BLOCK), -(-made.size // BLOCK)):
                made.blocks.pop(number, None)
                made.here.add(number)
            made.size = size

        self.edit(ident, change)
