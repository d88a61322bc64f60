"""Reads records directly from RADOS, without any manager: the ground truth of a case."""

from collections import Counter
from collections.abc import Iterable

from qa.faults.bench import PLACES, Bench
from qa.faults.images import Sample
from rbdmigrate.cluster.observe import observe
from rbdmigrate.cluster.omap import omap_pages, omap_value
from rbdmigrate.cluster.store import HISTORY, OBJECT
from rbdmigrate.control.lifecycle.situation import diagnose
from rbdmigrate.model.migration import Migration
from rbdmigrate.model.migration_codec import decode

_PREFIX = "migration."


def under_way(bench: Bench) -> "list[Migration]":
    """Return all records of migrations that have not ended."""
    return _read(bench, OBJECT)


def history(bench: Bench, sample: Sample) -> "list[Migration]":
    """Return the ended migrations from the sample's source image."""
    return [m for m in _read(bench, HISTORY) if is_of(m, sample)]


def record_of(bench: Bench, sample: Sample) -> "Migration | None":
    """Return the sample's record of a migration under way."""
    return next((m for m in under_way(bench) if is_of(m, sample)), None)


def owner(bench: Bench, pool: str, namespace: str) -> bytes:
    """Return the owner of the store of a pool."""
    with bench.ioctx(pool, namespace) as ioctx:
        return omap_value(ioctx, OBJECT, "owner") or b""


def situations(bench: Bench, samples: Iterable[Sample]) -> str:
    """Return state and diagnosis of each sample right now: the situation after the kill."""
    found = Counter(_situation(bench, sample) for sample in samples)
    return ", ".join(f"{n}x {text}" if n > 1 else text for text, n in found.items())


def _situation(bench: Bench, sample: Sample) -> str:
    migration = record_of(bench, sample)
    if migration is None:
        return "no record"
    intent = f" [{migration.intent.act.value}]" if migration.intent else ""
    found = diagnose(migration, observe(bench.client, migration))
    return f"{migration.state.value}{intent}/{found.value}"


def is_of(migration: Migration, sample: Sample) -> bool:
    """Whether the migration is one of the sample's source image."""
    return migration.source.image_id == sample.ident


def _read(bench: Bench, oid: str) -> "list[Migration]":
    found = []
    for pool, namespace in PLACES:
        with bench.ioctx(pool, namespace) as ioctx:
            found += [decode(raw) for _, raw in omap_pages(ioctx, oid, _PREFIX)]
    return found
