"""The bytes of a disk as they come: decompressed, taken out of its archive, and summed."""

from __future__ import annotations

from errno import EBADMSG
from typing import Optional

from ..model.checksum import Summing, parse_checksum
from ..model.source import StreamSpec
from .archive import MemberBytes
from .compression import decompressed
from .errors import SourceError
from .limits import Deadline
from .stream import BLOCK, Bytes, Stream

_MOST_AFTER = 1 << 30  # bytes of an archive after the disk, which are decompressed for their sum


def other_checksum(label: str, summing: Summing) -> SourceError:
    """The error for bytes with another checksum than they have to have."""
    return SourceError(
        "CHECKSUM_OTHER",
        EBADMSG,
        f"{label} has the checksum {summing.found}, and not {summing.wanted.digest}, which was "
        "given: it is damaged, or another file, and nothing of it is used; abort this import.",
    )


class _Passed:
    """Bytes as they are served: counted, summed, and read in time."""

    def __init__(
        self, source: Bytes, summing: Optional[Summing], deadline: Optional[Deadline]
    ) -> None:
        self._source = source
        self._summing = summing
        self._deadline = deadline
        self.count = 0

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        if self._deadline is not None:
            self._deadline.left(1.0)
        data = self._source.read(length)
        self.count += len(data)
        if self._summing is not None:
            self._summing.add(data)
        return data

    def close(self) -> None:
        """End it. Never raises."""
        self._source.close()


class Unpacked:
    """The disk file in ``served``, which stays its owner's, from its first byte to its last.

    ``size``: bytes of a member of an archive; None for all else. ``summed``: ``finish`` compares
    the checksum. ``deadline``: by when all of it has to be read; None: whenever. SourceError.
    """

    def __init__(
        self, served: Stream, spec: StreamSpec, *, summed: bool, deadline: Optional[Deadline] = None
    ) -> None:
        self._label = served.label
        self._summing = Summing(parse_checksum(spec.checksum)) if summed and spec.checksum else None
        self._served = _Passed(served.begin(), self._summing, deadline)
        self._whole: Bytes = self._served
        self.size: Optional[int] = None
        try:
            if spec.compression:
                self._whole = decompressed(self._served, spec.compression, self._label)
            self._disk = self._whole
            if spec.member:
                member = MemberBytes(self._whole, spec.member, self._label)
                self._disk, self.size = member, member.size
        except BaseException:
            self._whole.close()
            raise

    @property
    def served(self) -> int:
        """Bytes that were taken from the stream."""
        return self._served.count

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        return self._disk.read(length)

    def finish(self) -> None:
        """Read what follows the disk, and compare the checksum. Raises SourceError.

        What was read is not to be used then. The sums within a compressed archive are compared as
        far as its end is near.
        """
        after = 0
        while self._disk is not self._whole and after < _MOST_AFTER:
            data = self._whole.read(BLOCK)
            if not data:
                break
            after += len(data)
        while self._served.read(BLOCK):
            pass  # what follows counts for the checksum
        if self._summing is not None and not self._summing.right:
            raise other_checksum(self._label, self._summing)

    def close(self) -> None:
        """End it. Never raises."""
        self._whole.close()
