"""A copy by librbd, of an image or of an import: what is set up before it, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import rados

from ...faults import fault_point
from ...model.jobs.acts import Execute
from ...model.jobs.protocol import Tell
from ...model.migration import Place
from ..session import Session
from ..users import require_unlocked
from .concurrency import allow_lock_owner
from .estimate import CopyEstimate
from .progress import CopyProgress
from .sole_writer import SoleWriter


@dataclass(frozen=True)
class LibrbdCopy:
    """A copy that can begin: the target's pool, who else writes, and the progress callback.

    ``watch.begins()`` is called right before librbd's ``migration_execute``, ``watch.ended()``
    right after it.
    """

    ioctx: rados.Ioctx
    watch: SoleWriter
    progress: CopyProgress


@contextmanager
def librbd_copy(
    session: Session, target: Place, act: Execute, found: CopyEstimate, tell: Tell
) -> Iterator[LibrbdCopy]:
    """Set up the copy of ``found`` to ``target``, and report that it begins.

    Raises MigrationError(EBUSY) when a client has locked the target.
    """
    with session.open(target) as ioctx:
        require_unlocked(ioctx, target)
        watch = SoleWriter(session=session, ioctx=ioctx, target=target, untouched=act.untouched)
        progress = CopyProgress(pace=session.pace, found=found, tell=tell, watch=watch)
        progress.tell(0, found.to_copy.objects)
        allow_lock_owner(ioctx, target, act.holder_ops)
        fault_point("librbd.before", "execute")
        yield LibrbdCopy(ioctx, watch, progress)
