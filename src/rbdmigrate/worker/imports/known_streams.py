"""Which streams this librbd knows. It is asked, since releases get streams in their updates.

librbd looks for a stream by its type when it opens a source, before it makes a target. So it is
asked to import from a stream that cannot be opened, a path below ``/dev/null``: with ENOSYS it does
not know the type, with any other error it does. That takes 7 ms and writes nothing (16.2.15). It is
done in a worker, as the import would be.
"""

from __future__ import annotations

import json
import secrets
from errno import ENOSYS
from typing import Any

from ...cluster.capi import CApiError
from ...model.layout import LayoutOptions
from ...model.migration import Place
from ...model.source_spec import SourceSpec
from ..session import Session

_NOWHERE: dict[str, dict[str, Any]] = {
    "nbd": {"type": "nbd", "uri": "nbd+unix:///?socket=/dev/null/none"},
}
"""Streams that not every librbd knows, each with one that cannot be opened."""


def unknown_streams(session: Session, spec: SourceSpec, pool_id: int) -> tuple[str, ...]:
    """Return the types of the source's streams that this librbd does not know.

    ``pool_id``: a pool in which a target could be made; -1: there is none, and all are taken for
    known. Raises CApiError when it does not answer.
    """
    if pool_id < 0:
        return ()
    types = sorted({stream.type for _, stream in spec.streams()} & set(_NOWHERE))
    return tuple(kind for kind in types if not _known(session, kind, pool_id))


def _known(session: Session, kind: str, pool_id: int) -> bool:
    name = f"rbd_migration.{secrets.token_hex(8)}"
    target = Place("", "", name, pool_id)
    text = json.dumps({"type": "raw", "stream": _NOWHERE[kind]})
    try:
        session.c_client.prepare_import(text, target, LayoutOptions(), None)
    except CApiError as error:
        return error.errno != ENOSYS
    with session.open(target) as ioctx:  # it opened what cannot be opened
        session.rbd.migration_abort(ioctx, name)
    return True
