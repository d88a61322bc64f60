"""The copy mark: how far the mover is with a target, kept in that image's metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Optional

from .codec import from_plain, to_plain
from .errors import RecordError


@dataclass(frozen=True)
class CopyMark:
    """How far a copy is.

    ``until`` is the last snapshot that is copied, ``base`` the one that was copied last, ``view``
    the one that is being copied: numbers of the source's snapshots. ``copied``: how many snapshots
    the target had when ``base`` was complete. Of ``view`` everything before ``position`` (bytes) is
    on the target. ``mixed``: the target's head may hold parts of a snapshot that is gone.
    ``bytes`` have been copied, ``total`` are to be copied in all, as was estimated at the begin.
    """

    until: int
    copied: int = 0
    base: Optional[int] = None
    view: Optional[int] = None
    position: int = 0
    mixed: bool = False
    bytes: int = 0
    total: Optional[int] = None

    @property
    def complete(self) -> bool:
        """All is on the target."""
        return self.base == self.until

    def to_json(self) -> str:
        """The mark as it is kept."""
        return json.dumps(to_plain(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> CopyMark:
        """The mark that was kept. Raises RecordError for anything else."""
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"the copy mark is no JSON: {error}") from error
        return from_plain(cls, plain, "copy mark")

    def completed(self, snapshots: int) -> CopyMark:
        """The mark when the target has got the snapshot of ``view``, which makes it complete."""
        done = replace(self, copied=snapshots, base=self.view)
        return replace(done, view=None, position=0, mixed=False)
