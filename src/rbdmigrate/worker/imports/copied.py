"""The copy of an import, whichever reader it has."""

from __future__ import annotations

import rados

from ...model.copy_mark import CopyMark
from ...model.jobs.acts import ImportEnds
from ...model.jobs.protocol import Tell
from ..copy.sole_writer import SoleWriter
from ..mover.copy import DiskCopy
from ..mover.ends import Reader
from ..mover.image_writer import open_writer
from ..mover.progress import CopiedSoFar
from ..session import Session


def copied(
    *,
    session: Session,
    ioctx: rados.Ioctx,
    ends: ImportEnds,
    reader: Reader,
    mark: CopyMark,
    watch: SoleWriter,
    tell: Tell,
) -> CopyMark:
    """Copy to the target from ``mark`` on until everything is there; the mark at the end.

    ``watch`` tells whether anybody else writes to the target. Raises as :meth:`DiskCopy.run`.
    """
    with open_writer(ioctx, ends.target) as writer:
        told = CopiedSoFar(
            tell=tell,
            total=mark.total or 0,
            object_size=writer.object_size,
            alone=lambda: watch.alone,
        )
        told(mark.bytes)
        return DiskCopy(
            reader=reader,
            writer=writer,
            pace=session.pace,
            progress=told,
            name=ends.imported.wanted.label(),
        ).run(mark)
