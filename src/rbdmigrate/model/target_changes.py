"""Changes of a target by clients that librbd does not expect before its data is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

NAMED = 20  # names of snapshots in a record


@dataclass(frozen=True)
class TargetChanges:
    """Changes of the target observed since it was prepared.

    ``removed``: names of migrated snapshots that are gone, at most ``NAMED``. ``shrunk_to``: the
    smallest size in bytes below the one that it was prepared with, None when it was never smaller;
    ``size``: its present size, if it was smaller once. ``trashed``: somebody moved it to the
    trash.
    """

    removed: tuple[str, ...] = ()
    shrunk_to: Optional[int] = None
    size: Optional[int] = None
    trashed: bool = False

    @property
    def grown_again(self) -> bool:
        """Whether it was shrunk and then grew: data beyond the smaller size may be back."""
        return self.shrunk_to is not None and (self.size or 0) > self.shrunk_to
