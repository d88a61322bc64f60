"""The store: migrations as omap records of one object per target pool and RBD namespace.

``rbd_migration`` holds the records of unfinished migrations, ``rbd_migration_history`` those that
ended. Records are stored in the target's pool: they are removed with it, and a pool that is down
delays only its own migrations.

One writer: the active manager. The object's key ``owner`` names it, and every write is one atomic
operation that first compares it. So the writes of a slow manager that is no longer active are
refused (:class:`StoreFenced`), even if it does not know yet.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from errno import ECANCELED
from typing import Callable, Optional

import rados

from ..faults import fault_point
from ..model.bounds import MAX_READ
from ..model.claim import Claim, claim_of
from ..model.errors import RecordError
from ..model.hooks import Delivery
from ..model.hooks import decode as decode_hook
from ..model.hooks import encode as encode_hook
from ..model.migration import Migration
from ..model.migration_codec import decode, encode_readable
from .omap import FULL_TRY, omap_pages, omap_value

log = logging.getLogger(__name__)

OBJECT = "rbd_migration"
HISTORY = "rbd_migration_history"
_OWNER = "owner"
_PREFIX = "migration."
_DELIVERY = "hook."
_METRICS = "tally"


class StoreFenced(Exception):
    """Another manager owns the store; this one must stop writing at once."""


@dataclass(frozen=True)
class Owner:
    """The writer of a store. ``generation`` grows with every change of the active manager."""

    generation: int
    instance: str

    def encode(self) -> bytes:
        """The stored form."""
        return json.dumps({"generation": self.generation, "instance": self.instance}).encode()


@dataclass(frozen=True)
class UnreadableRecord:
    """A record that this version cannot read. It is kept unchanged, reported and skipped."""

    store: str
    key: str
    reason: str
    claim: Claim
    object: str = OBJECT

    @property
    def ident(self) -> str:
        """The id of the migration that the record is about."""
        return self.key[len(_PREFIX) :]


class Store:
    """The records of one pool and namespace, called ``label`` in messages. RADOS orders the
    writes.
    """

    _objects: tuple[str, ...] = (OBJECT, HISTORY)  # the first object shows whether there is a store

    def __init__(self, open_ioctx: Callable[[], rados.Ioctx], label: str, owner: Owner) -> None:
        self.label = label
        self._open = open_ioctx
        self._owner = owner
        self._owned = False

    def exists(self) -> bool:
        """Whether this pool and namespace ever held a migration."""
        with self._open() as ioctx:
            try:
                ioctx.stat(self._objects[0])
            except rados.ObjectNotFound:
                return False
        return True

    def take(self) -> None:
        """Become the owner. Raises StoreFenced when a later manager already owns the store."""
        with self._open() as ioctx:
            for oid in self._objects:
                self._take_object(ioctx, oid)
        self._owned = True

    def _take_object(self, ioctx: rados.Ioctx, oid: str) -> None:
        for _ in range(5):
            current = omap_value(ioctx, oid, _OWNER)
            if current and _generation(current) > self._owner.generation:
                raise StoreFenced(f"{self.label}/{oid} belongs to a later manager")
            try:
                with rados.WriteOpCtx() as op:
                    if current is None:
                        op.new(rados.LIBRADOS_CREATE_IDEMPOTENT)
                    op.omap_cmp(_OWNER, (current or b"").decode(), rados.LIBRADOS_CMPXATTR_OP_EQ)
                    ioctx.set_omap(op, (_OWNER,), (self._owner.encode(),))
                    ioctx.operate_write_op(op, oid, flags=FULL_TRY)
                return
            except rados.Error as error:
                if abs(error.errno or 0) != ECANCELED:
                    raise
        raise StoreFenced(f"{self.label}/{oid} is being taken by another manager")

    def write(
        self, migration: Migration, *, history: bool = False, posts: Sequence[Delivery] = ()
    ) -> None:
        """Create or replace a record, and store messages to hooks in the same operation.

        Raises StoreFenced, rados.Error when RADOS fails, and before anything is written
        MigrationError for a record that could not be read back.
        """
        key, raw = _PREFIX + migration.id, encode_readable(migration)
        fault_point("store.write.before", migration.state.value)

        self._set({key: raw, **posted(posts)}, HISTORY if history else OBJECT)
        fault_point("store.write.after", migration.state.value)

    def remove(self, *idents: str, history: bool = False) -> None:
        """Remove records, if they are there, in one operation."""
        fault_point("store.remove.before", "")

        def act(ioctx: rados.Ioctx, op: rados.WriteOp) -> None:
            ioctx.remove_omap_keys(op, tuple(_PREFIX + ident for ident in idents))

        self._guarded(act, HISTORY if history else OBJECT)
        fault_point("store.remove.after", "")

    # -- messages to hooks -------------------------------------------------------------------

    def write_delivery(self, delivery: Delivery) -> None:
        """Replace a message to a hook. Raises as :meth:`write`."""
        self._set(posted([delivery]), self._objects[0])

    def remove_deliveries(self, idents: Iterable[str]) -> None:
        """Remove messages to hooks, if they are there."""
        keys = tuple(_DELIVERY + ident for ident in idents)
        fault_point("store.deliveries.before", "")

        def act(ioctx: rados.Ioctx, op: rados.WriteOp) -> None:
            ioctx.remove_omap_keys(op, keys)

        self._guarded(act, self._objects[0])
        fault_point("store.deliveries.after", "")

    def read_deliveries(self) -> list[Delivery]:
        """Read all messages to hooks, without those that cannot be decoded."""
        found = []
        with self._open() as ioctx:
            for _, raw in omap_pages(ioctx, self._objects[0], _DELIVERY):
                try:
                    found.append(decode_hook(Delivery, raw))
                except RecordError as error:
                    log.warning("%s: a message to a hook is left out: %s", self.label, error)
        return found

    def read_metrics(self) -> Optional[bytes]:
        """What was counted, as it was last written here; None: nothing."""
        with self._open() as ioctx:
            return omap_value(ioctx, OBJECT, _METRICS)

    def write_metrics(self, raw: bytes) -> None:
        """Keep what was counted. Raises as :meth:`write`."""

        def act(ioctx: rados.Ioctx, op: rados.WriteOp) -> None:
            ioctx.set_omap(op, (_METRICS,), (raw,))

        self._guarded(act, OBJECT)

    # -- writing -----------------------------------------------------------------------------

    def _set(self, values: dict[str, bytes], oid: str) -> None:
        def act(ioctx: rados.Ioctx, op: rados.WriteOp) -> None:
            ioctx.set_omap(op, tuple(values), tuple(values.values()))

        self._guarded(act, oid)

    def _guarded(self, act: Callable[[rados.Ioctx, rados.WriteOp], None], oid: str) -> None:
        if not self._owned:
            self.take()
        with self._open() as ioctx, rados.WriteOpCtx() as op:
            op.omap_cmp(_OWNER, self._owner.encode().decode(), rados.LIBRADOS_CMPXATTR_OP_EQ)
            act(ioctx, op)
            try:
                ioctx.operate_write_op(op, oid, flags=FULL_TRY)
            except rados.ObjectNotFound:
                self._owned = False  # removed by hand: the next write creates it again
                raise
            except rados.Error as error:
                if abs(error.errno or 0) == ECANCELED:
                    raise StoreFenced(f"{self.label}/{oid} has another owner") from error
                raise

    def read(self, *, history: bool = False) -> tuple[list[Migration], list[UnreadableRecord]]:
        """Read all records, and those that cannot be decoded."""
        migrations: list[Migration] = []
        garbage: list[UnreadableRecord] = []
        oid = HISTORY if history else OBJECT
        with self._open() as ioctx:
            for key, raw in omap_pages(ioctx, oid, _PREFIX):
                try:
                    if len(raw) > MAX_READ:
                        raise RecordError(f"it has {len(raw)} bytes")
                    migration = decode(raw)
                    if _PREFIX + migration.id != key:
                        raise RecordError(f"it holds the id {migration.id!r}")
                    migrations.append(migration)
                except RecordError as error:
                    garbage.append(
                        UnreadableRecord(self.label, key, str(error), claim_of(raw), oid)
                    )
        return migrations, garbage


def posted(posts: Iterable[Delivery]) -> dict[str, bytes]:
    """The values of messages to hooks in the omap of a store, by key."""
    return {_DELIVERY + delivery.id: encode_hook(delivery) for delivery in posts}


def _generation(raw: bytes) -> int:
    try:
        return int(json.loads(raw)["generation"])
    except (ValueError, KeyError, TypeError):
        return 0  # written by a client other than this module
