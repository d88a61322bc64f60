"""Images of migrations whose records this version cannot read: nothing is begun with them.

While managers are updated host by host, an older one can be active after a newer one has written
records. It must not take over by other means what it does not understand: adopting such a
migration, or preparing its image once more, would be a second record for it.
"""

from __future__ import annotations

from errno import EOPNOTSUPP

from ...cluster.store import UnreadableRecord
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ..records.registry import Registry


def refuse_claimed(registry: Registry, *specs: ImageSpec) -> None:
    """MigrationError when an unreadable record is about one of these images."""
    wanted = frozenset(specs)
    for item in registry.unreadable():
        if item.claim.names(wanted):
            found = min(item.claim.specs & wanted, key=str)
            raise _refusal(str(found), item)


def refuse_adoption(registry: Registry, migration: Migration) -> None:
    """MigrationError when an unreadable record is, or may be, the one of this migration."""
    source, target = migration.source, migration.target
    ids = frozenset((source.image_id, target.image_id)) - {""}
    label = registry.store(target.pool_id, target.namespace).label
    for item in registry.unreadable():
        if item.claim.names(frozenset((source.spec, target.spec)), ids) or (
            item.claim.obscure and item.store == label
        ):
            raise _refusal(str(target.spec), item)


def _refusal(image: str, item: UnreadableRecord) -> MigrationError:
    return MigrationError(
        EOPNOTSUPP,
        f"{image} is left alone, since this version cannot read a record that is about it (key "
        f"{item.key} of the object rbd_migration in {item.store}: {item.reason}); see "
        "RBD_MIGRATION_RECORD in `ceph health detail`, and update the module on this host.",
    )
