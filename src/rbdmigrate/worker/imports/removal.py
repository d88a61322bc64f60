"""Removing the target of an import: in an abort, or because its preparation was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Optional

import rados

from ...cluster import headers, surgery
from ...cluster.observe import mark_header
from ...model.import_source import Import
from ...model.jobs.acts import Abort, ImportEnds
from ...model.migration import Place
from ...model.observation import USABLE
from ..identity import require_no_other_image
from ..repair import repair
from ..session import Session
from ..users import require_unchanged, require_unlocked
from . import native


def remove(
    session: Session,
    ends: ImportEnds,
    act: Optional[Abort] = None,
    on_progress: Callable[[int, int], int] = lambda done, total: 0,
) -> None:
    """Remove the target, if it is ours: known by its id, or made by one of our clients.

    ``act``: clients may use the target, as long as its removal has not begun, and this is the abort
    that was allowed; None: nobody can use it yet.
    """
    imported, target = ends.imported, ends.target
    if not session.has_pool(target):
        return
    with session.open(target, frees_space=True) as ioctx:
        ident = _ours(ioctx, imported, target)
        if not ident:
            return
        name = headers.image_name(ioctx, ident) or target.image
        require_no_other_image(ioctx, replace(target, image=name, image_id=ident))
        if not headers.image_exists(ioctx, ident):
            surgery.unlink_ghost(ioctx, name, ident)
            return
        if act is not None and _usable(ioctx, ends, ident):
            require_unchanged(session, ioctx, replace(target, image=name, image_id=ident), act)
        require_unlocked(ioctx, replace(target, image=name, image_id=ident))
        with repair.data_ioctx(session, ioctx, ident) as data:
            surgery.purge_trashed_snapshots(ioctx, data, ident)
        if headers.migration_header(ioctx, ident) is not None:
            session.rbd.migration_abort(ioctx, name, on_progress=on_progress)
            return
        surgery.drop_journaling(ioctx, ident)
        native.remove(session, ioctx, name, ident, on_progress)


def _usable(ioctx: rados.Ioctx, ends: ImportEnds, ident: str) -> bool:
    """Whether the target is complete for clients: prepared or more, and its abort not begun."""
    read = headers.migration_header if ends.opens_source else mark_header
    header = read(ioctx, ident)
    return header is not None and header.state in USABLE


def _ours(ioctx: rados.Ioctx, imported: Import, target: Place) -> str:
    """The target's id; empty when there is none of ours."""
    if target.image_id and headers.view_by_id(ioctx, target.image_id) is not None:
        return target.image_id
    named = headers.image_id(ioctx, target.image) or headers.listed_id(ioctx, target.image)
    return named if named and imported.made(named) else ""
