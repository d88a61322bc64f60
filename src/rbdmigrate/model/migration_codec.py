"""The stored form of a migration's record: JSON with its schema version."""

from __future__ import annotations

from dataclasses import replace

from .bounds import MAX_DURATION, MAX_RECORD, narrowed, shortened
from .codec import dumped, from_plain, loaded, readable, to_stored
from .migration import Migration

SCHEMA = 1


def encode(migration: Migration) -> bytes:
    """Return the stored form of the record: JSON with its schema version."""
    return dumped(to_stored(migration), SCHEMA)


def decode(raw: bytes) -> Migration:
    """Return the migration of a stored record. RecordError if this version cannot read it.

    Version 0.1 wrote some values that were too long or too large; they are cut to the bounds.
    """
    plain = loaded(raw, SCHEMA)
    soak = plain.get("soak")
    if isinstance(soak, (int, float)) and not isinstance(soak, bool) and not soak <= MAX_DURATION:
        plain["soak"] = MAX_DURATION
    if isinstance(plain.get("window"), str):
        plain["window"] = narrowed(plain["window"])
    m = from_plain(Migration, plain)
    return m if m.verification is None else replace(m, verification=m.verification.bounded())


def encode_readable(migration: Migration) -> bytes:
    """Return the stored form of the record, after a check that it can be read back.

    Raises MigrationError: E2BIG for one that is too large, EINVAL for one that ``decode`` refuses.
    """
    raw = encode(migration)
    what = f"the migration to {shortened(str(migration.target.spec))}"
    readable(raw, what, MAX_RECORD, lambda: from_plain(Migration, loaded(raw, SCHEMA)))
    return raw
