"""Imports of sources outside by the method ``copy``: the mover reads them, not librbd.

The target is an ordinary image from the beginning, with a copy mark as in :mod:`.native_copy`. The
source's head is copied last, and then kept as the comparison snapshot, so that clients may write to
the target before it is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from errno import EEXIST, EIO
from typing import Optional

import rbd

from ...cluster import headers
from ...cluster.target_header import target_header
from ...control.lifecycle.verification import comparison_snapshot_name
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.acts import Execute, ImportEnds
from ...model.jobs.answers import Copied
from ...model.jobs.protocol import Progress, Tell
from ...model.layout import LayoutOptions
from ...sources.copying import CopySource
from ...sources.spool import Spool
from ...sources.stream import BLOCK
from ..copy.sole_writer import SoleWriter
from ..identity import renamed
from ..mover.marks import read_mark
from ..mover.requests import CopyFailed
from ..session import Session
from .checksums import compared
from .copied import copied
from .external_reader import HEAD, ExternalReader
from .source_access import require_allowed, resolver_of


def source_of(session: Session, ends: ImportEnds, tell: Tell) -> CopySource:
    """The source of an import, as it is copied."""
    before = 0

    def taken(done: int, total: int) -> None:
        """Bytes that were taken in before the copy, at the rate of copies."""
        nonlocal before
        fault_point("external.taken")
        session.pace.wait(max(0, done - before), patient=True)
        before = done
        of = -(-max(done, total) // BLOCK)
        tell(Progress(min(of, done // BLOCK), of))

    resolve = resolver_of(session, ends)
    spool = Spool(progress=taken)
    return CopySource(ends.imported.source, ends.policy, resolve_config=resolve, spool=spool)


def prepare(
    session: Session, ends: ImportEnds, layout: LayoutOptions, features: Optional[int]
) -> None:
    """Make the target, empty and marked."""
    imported, target = ends.imported, ends.target
    require_allowed(imported.source, ends, f"Preparing {target.spec}")
    if imported.size is None:
        raise MigrationError(EIO, f"The size of {imported.source.label()} is not known.")
    with session.open(target) as ioctx:
        if headers.image_id(ioctx, target.image) is not None:
            raise MigrationError(EEXIST, f"The target {target.spec} exists already.")
        session.c_client.create(target, imported.size, layout, features)
        fault_point("external.made")
        made = headers.image_id(ioctx, target.image) or ""
        if not imported.made(made):
            raise renamed(target)  # what was made has no mark: it is removed as half-made
        with rbd.Image(ioctx, image_id=made) as image:
            image.metadata_set(headers.COPY_KEY, CopyMark(HEAD).to_json())
            fault_point("external.marked")
            image.metadata_set(headers.IMPORT_KEY, ends.id)


def execute(
    session: Session,
    ends: ImportEnds,
    act: Execute,
    tell: Tell,
    changes: Callable[[], list[str]],
) -> Copied:
    """Copy until everything is there; goes on where an interrupted copy stopped.

    ``changes``: sentences about what changed about the source since it was prepared.
    """
    imported, target = ends.imported, ends.target
    fault_point("librbd.before", "execute")
    require_allowed(imported.source, ends, f"Copying {target.spec}")
    changed = changes()
    with (
        source_of(session, ends, tell) as source,
        closing(ExternalReader(source, comparison_snapshot_name(ends.id))) as reader,
        session.open(target) as ioctx,
        session.without_cache(),
    ):
        reader.require(imported.snapshots)
        watch = SoleWriter(session=session, ioctx=ioctx, target=target, untouched=act.untouched)
        watch.begins()
        mark = reader.from_its_beginning(read_mark(ioctx, target))
        if not mark.complete:
            mark = compared(source, mark, tell)
        if mark.total is None:
            mark = replace(mark, total=_amount(reader))
        try:
            done = copied(
                session=session,
                ioctx=ioctx,
                ends=ends,
                reader=reader,
                mark=mark,
                watch=watch,
                tell=tell,
            )
        except CopyFailed as error:
            raise _explained(error, reader, changes()) from error
        fault_point("librbd.after", "execute")
        version = watch.ended()
        header = target_header(ioctx, target.image_id, headers.OWN_KEYS)
        changed = list(dict.fromkeys([*changed, *changes()]))
        return Copied(version, watch.alone, done.bytes, tuple(changed), header=header)


def _amount(reader: ExternalReader) -> int:
    """Bytes of data in all views, most of which are the same."""
    total = 0
    for view in reader.views():
        with reader.open(view) as opened:
            total += sum(extent.length for extent in opened.changes(None, 0, view.size))
    return total


def _explained(error: CopyFailed, reader: ExternalReader, changes: list[str]) -> Exception:
    """The error for a request that failed: by the target, or because of the source."""
    if error.side == "target":
        failed: Exception = rbd.OSError("a request to the target failed", errno=error.errno)
        return failed
    if changes:
        return MigrationError(error.errno, f"The source could not be read: {changes[0]}")
    failure = reader.failure
    return failure if failure is not None else MigrationError(error.errno, str(error))
