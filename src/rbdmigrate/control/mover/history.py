"""Which snapshot of the source is copied next, and against what. Pure.

The target gets the source's snapshots one after another, the oldest first. What is complete is
known from two things that are kept with the target: its own snapshots, and the copy mark
(``model.copy_mark``). A copy that is cut off anywhere goes on from there, and repeats what
came after the mark was written last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ...model.copy_mark import CopyMark


@dataclass(frozen=True)
class View:
    """A snapshot of the source. ``size`` in bytes. ``id`` is its number, which grows with time.

    ``parent``: at this snapshot a part of the disk is read from a parent image. ``compared``: how
    it differs from the one before is not told, so that the target is read too.
    """

    id: int
    name: str
    size: int
    protected: bool = False
    parent: bool = False
    compared: bool = False


@dataclass(frozen=True)
class NextCopy:
    """``view`` is copied next, from ``mark.position`` on.

    ``base``: the target's head holds that snapshot, and what changed since is copied. None: all
    that ``view`` holds is copied. ``compare``: what the target's head holds is not known, or no
    difference to it can be trusted, so that both sides are read: with ``base`` where the views may
    differ, without it everywhere.
    """

    view: View
    base: Optional[View]
    compare: bool
    mark: CopyMark

    @property
    def onto_nothing(self) -> bool:
        """The target reads as zeros wherever nothing of ``view`` was written yet."""
        return self.mark.base is None and not self.compare


def next_copy(views: Sequence[View], mark: CopyMark) -> Optional[NextCopy]:
    """The next snapshot of ``views`` (those that the source has now, the oldest first) to copy.

    None: the target is complete. A snapshot that was removed before it was copied is left out.
    """
    waiting = [v for v in views if (mark.base is None or v.id > mark.base) and v.id <= mark.until]
    if not waiting:
        return None
    view = waiting[0]
    if mark.view not in (None, view.id):  # the one that was being copied is gone
        mark = replace(mark, position=0, mixed=True)
    base = next((v for v in views if v.id == mark.base), None)
    # Nothing here depends on what librbd tells of a parent's data that were discarded in between.
    parents = base is not None and (base.parent or view.parent)
    if mark.mixed or (base is not None and view.compared):
        base = None
    compare = parents or (mark.base is not None and base is None) or mark.mixed
    return NextCopy(view, base, compare, replace(mark, view=view.id))
