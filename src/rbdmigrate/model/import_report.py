"""What the Report says of the source of an import, or of an image of another cluster."""

from __future__ import annotations

from typing import Any

from .migration import Migration


def import_report(m: Migration) -> dict[str, Any]:
    """The source as plain data; without one the same fields say that there is none."""
    i = m.imported
    if i is None:
        return {
            "import_only": False,
            "source_cluster": None,
            "source_spec": None,
            "later_snapshot": None,
            "source_went_on": None,
            "source_changes": [],
            "checksums": [],
        }
    return {
        "import_only": not m.from_another_cluster,
        "source_cluster": None if i.image is None else i.image.fsid,
        "source_spec": i.redacted(),
        "later_snapshot": i.later_name or None,
        "source_went_on": i.went_on or None,
        "source_changes": list(i.changes),
        "checksums": [  # a copy does not end before all were compared
            {"stream": path, "checksum": checksum, "compared": m.executed_at is not None}
            for path, checksum in i.checksums()
        ],
    }
