"""What clients did to a target that librbd does not expect before its data is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

NAMED = 20  # snapshots whose names are kept


@dataclass(frozen=True)
class TargetChanges:
    """What was seen of the target since it was prepared.

    ``removed``: names of snapshots that the migration took along and that are gone, at most
    ``NAMED``. ``shrunk_to``: the smallest size in bytes below the one that it was prepared with,
    None when it was never smaller; ``size``: its size now, where it was smaller once. ``trashed``:
    somebody moved it to the trash.
    """

    removed: tuple[str, ...] = ()
    shrunk_to: Optional[int] = None
    size: Optional[int] = None
    trashed: bool = False

    @property
    def grown_again(self) -> bool:
        """Whether it was made smaller and then larger: what was cut off may be back."""
        return self.shrunk_to is not None and (self.size or 0) > self.shrunk_to
