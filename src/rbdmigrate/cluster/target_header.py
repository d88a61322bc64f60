"""Reading the parts of a target's header that clients can change: its omap, page by page.

The keys are RBD's on-disk interface (src/cls/rbd in Ceph), the same from release 16 to 20. All of
a header takes one read for each 256 keys, however many snapshots the image has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Optional

import rados

from ..model.layout import FEATURES
from ..model.target_header import TargetHeader
from .denc import Decoder
from .omap import omap_pages

_SNAPSHOT, _METADATA, _GROUP = "snapshot_", "metadata_", "rbd_group_ref"
_CHOSEN = sum(FEATURES.values())  # librbd itself changes the others during a migration
_DIGEST = 16  # bytes


def target_header(
    ioctx: rados.Ioctx, ident: str, own_metadata: Collection[str]
) -> Optional[TargetHeader]:
    """The header of the image ``ident``; None when there is no such image.

    ``own_metadata``: metadata keys set by this module, which are ignored. Raises ``rados.Error``
    when RADOS does not answer.
    """
    values = dict(omap_pages(ioctx, f"rbd_header.{ident}", ""))
    if "size" not in values:
        return None
    skipped = {_METADATA + key for key in own_metadata}
    return TargetHeader(
        size=Decoder(values["size"]).u64(),
        features=Decoder(values["features"]).u64() & _CHOSEN,
        snapshots=_digest(_snapshot(values[key]) for key in values if key.startswith(_SNAPSHOT)),
        metadata=_digest(
            (key.encode("utf-8", "surrogateescape"), value)
            for key, value in values.items()
            if key.startswith(_METADATA) and key not in skipped
        ),
        group=_digest([(values[_GROUP],)] if _GROUP in values else []),
    )


def _snapshot(raw: bytes) -> tuple[bytes, ...]:
    """Number, name and size of a snapshot. The fields after them change when it gets a clone."""
    entry = Decoder(raw)
    entry.start()
    number, name, size = entry.u64(), entry.string(), entry.u64()
    return str(number).encode(), name.encode("utf-8", "surrogateescape"), str(size).encode()


def _digest(entries: Iterable[tuple[bytes, ...]]) -> str:
    """A digest of entries, independent of their order."""
    found = hashlib.blake2b(digest_size=_DIGEST)
    for entry in sorted(entries):
        for part in entry:
            found.update(len(part).to_bytes(8, "little"))
            found.update(part)
    return found.hexdigest()
