"""The present size and snapshots of a target, read from its header.

It takes one read. A second one, of the source's header, follows only when the target has fewer of
the source's snapshots than it had before.
"""

from __future__ import annotations

from typing import Optional

import rados

from ..model.image_ident import is_old_format
from ..model.migration import Migration
from ..model.observation import HeaderState, ImageView, TargetNow
from .denc import Decoder
from .old_format import header_of
from .omap import omap_pages
from .pools import open_by_id

_SNAPSHOT = "snapshot_"
_PAGE = 256
_UNCOPIED = (HeaderState.PREPARED, HeaderState.EXECUTING)


def target_now(
    client: rados.Rados, m: Migration, source: Optional[ImageView], target: Optional[ImageView]
) -> Optional[TargetNow]:
    """Return size and snapshots of a target that is not fully copied; None for any other.

    Raises ``rados.Error`` when RADOS does not answer.
    """
    header = target.header if target is not None else None
    if target is None or header is None or header.is_source or header.state not in _UNCOPIED:
        return None
    with open_by_id(client, m.target.pool_id, m.target.namespace) as ioctx:
        size, present = _size_and_snapshots(ioctx, target.image_id)
    if size is None:
        return None
    carried = {old for old, new in header.snapshots if new in present}
    own = 1 if m.comparison_snapshot else 0
    if source is None or len(carried) == (m.snapshots or 0) + own:
        return TargetNow(size, header.overlap, len(carried) - own)
    with open_by_id(client, m.source.pool_id, m.source.namespace) as ioctx:
        names = snapshot_names_by_id(ioctx, source.image_id)
    removed = tuple(names[number] for number in sorted(names) if number not in carried)
    users = sum(1 for name in names.values() if name != m.comparison_snapshot)
    return TargetNow(size, header.overlap, users, removed)


def snapshot_names_by_id(ioctx: rados.Ioctx, ident: str) -> dict[int, str]:
    """The snapshot names of the image ``ident`` by id."""
    if is_old_format(ident):
        old = header_of(ioctx, ident)
        return dict(old.snapshots) if old else {}
    return dict(_snapshot(raw) for _, raw in omap_pages(ioctx, f"rbd_header.{ident}", _SNAPSHOT))


def _size_and_snapshots(ioctx: rados.Ioctx, ident: str) -> tuple[Optional[int], set[int]]:
    """The size in bytes and the numbers of the snapshots; None without such an image."""
    oid = f"rbd_header.{ident}"
    try:
        with rados.ReadOpCtx() as op:
            sizes, _ = ioctx.get_omap_vals_by_keys(op, ("size",))
            first, _ = ioctx.get_omap_vals(op, "", _SNAPSHOT, _PAGE)
            ioctx.operate_read_op(op, oid)
            size, page = dict(sizes).get("size"), list(first)
    except rados.ObjectNotFound:
        return None, set()
    if size is None:
        return None, set()
    values = dict(page) if len(page) < _PAGE else dict(omap_pages(ioctx, oid, _SNAPSHOT))
    return Decoder(size).u64(), {_snapshot(raw)[0] for raw in values.values()}


def _snapshot(raw: bytes) -> tuple[int, str]:
    entry = Decoder(raw)
    entry.start()
    return entry.u64(), entry.string()
