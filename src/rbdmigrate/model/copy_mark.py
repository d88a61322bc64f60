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

    ``until`` is the last snapshot to copy, ``base`` the one that was copied last, ``view`` the one
    that is being copied: ids of the source's snapshots. ``sources`` and ``targets``: the ids of
    the snapshots that were copied, on the source and in the same order on the target, the oldest
    first. ``removing``: the snapshot of the target that is about to be removed. Of ``view``
    everything before ``position`` (bytes) is on the target. ``mixed``: the target's head may hold
    parts of a snapshot that is gone. ``synchronized``: rounds were copied until the last one was
    small. ``bytes``: copied so far, ``total``: to be copied in all, as
    estimated before the copy. ``checked``: digests that stand for streams whose checksum was
    compared. ``image``: the id of the RBD image that is the source; empty: not known.

    ``reserved``: the numbers of the snapshots of source and target that are about to be taken, 0
    where none is; there may be object maps of them already. That of the source stays until all
    clients were told of the snapshot.

    ``varied``: offset and length, one after another, of the parts of the disk whose content is not
    the same in ``base`` and all snapshots that were there when it was taken; None: not known. While
    somebody rolls the source back to one of those, all else stays what it was.
    """

    until: int
    sources: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    removing: Optional[int] = None
    base: Optional[int] = None
    view: Optional[int] = None
    position: int = 0
    mixed: bool = False
    bytes: int = 0
    total: Optional[int] = None
    synchronized: bool = False
    reserved: Optional[tuple[int, int]] = None
    varied: Optional[tuple[int, ...]] = None
    checked: tuple[str, ...] = ()
    image: str = ""

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
        mark = from_plain(cls, plain, "copy mark")
        if len(mark.sources) != len(mark.targets):
            raise RecordError("the copy mark does not pair the snapshots of both images")
        return mark

    def is_known_to_clients(self, snapshot: int) -> bool:
        """Whether all clients have been told of the source's snapshot with this id.

        Its copy begins when they were, and this mark says so. A copy that begins before its
        snapshot is taken keeps the number in ``reserved`` until then.
        """
        begun = snapshot in (self.until, self.view)
        return begun and (self.reserved is None or self.reserved[0] != snapshot)

    def completed(self, snapshot: int) -> CopyMark:
        """The mark when the target has got the snapshot of ``view``, under the id ``snapshot``."""
        assert self.view is not None
        sources, targets = (*self.sources, self.view), (*self.targets, snapshot)
        done = replace(self, sources=sources, targets=targets, base=self.view)
        return replace(done, view=None, position=0, mixed=False, reserved=None, varied=None)

    def source_of(self, snapshot: int) -> int:
        """The id on the source of a snapshot of the target."""
        return self.sources[self.targets.index(snapshot)]

    def without(self, snapshot: int) -> CopyMark:
        """The mark when the target's snapshot of this id is removed."""
        kept = [pair for pair in zip(self.sources, self.targets) if pair[1] != snapshot]
        sources, targets = tuple(one for one, _ in kept), tuple(two for _, two in kept)
        return replace(self, sources=sources, targets=targets, removing=None)
