"""The bytes of a disk as they come: decompressed, taken out of its archive, and summed."""

from __future__ import annotations

import time
from errno import EBADMSG, ENOSPC
from typing import Optional

from ..model.checksum import Summing, parse_checksum
from ..model.source import StreamSpec
from . import conversion
from .archive import MemberBytes
from .compression import decompressed
from .errors import SourceError
from .limits import Deadline
from .stream import BLOCK, Bytes, Stream

_EXPANDING = 0.3  # seconds of the processor that a look takes for a file that expands much
_RATE = 32  # times its own length; disks are seldom compressed to less than a tenth
_MOST_AFTER = 1 << 30  # bytes of an archive after the disk, which are decompressed for their sum


def other_checksum(label: str, summing: Summing) -> SourceError:
    """The error for bytes with another checksum than they have to have."""
    return SourceError(
        "CHECKSUM_OTHER",
        EBADMSG,
        f"{label} has the checksum {summing.found}, and not {summing.wanted.digest}, which was "
        "given: it is damaged, or another file, and nothing of it is used; abort this import.",
    )


def partly(label: str, remedy: str = "") -> SourceError:
    """The error for a file in which an inspection does not get far enough."""
    return SourceError(
        "SPOOL_PARTLY",
        ENOSPC,
        f"{label} is too long to be unpacked for a look at it, and what has to be known is not at "
        "its beginning; unpack it into a folder that is open to imports.",
        remedy=remedy,
    )


class Expansion:
    """How much a look unpacks. A small file can unpack to very much, of which a part is enough."""

    def __init__(self) -> None:
        self._begin = time.thread_time()

    def too_much(self, taken: int, unpacked: int) -> bool:
        """Whether a look has to end: ``taken`` bytes of the file became ``unpacked`` bytes."""
        much = unpacked > _RATE * max(taken, BLOCK)
        return much and time.thread_time() - self._begin > _EXPANDING


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


class _Searched:
    """Unpacked bytes in which a look searches for a file. ``found``: nothing is counted any more.

    Raises SourceError where the search unpacks too much.
    """

    def __init__(self, source: Bytes, served: _Passed, spec: StreamSpec) -> None:
        self._source = source
        self._served = served
        self._spec = spec
        self._count = 0
        self._expansion = Expansion()
        self.found = False

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        data = self._source.read(length)
        self._count += len(data)
        if not self.found and self._expansion.too_much(self._served.count, self._count):
            raise partly(self._spec.location, conversion.gathered(self._spec))
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
                searched = _Searched(self._whole, self._served, spec)
                searched.found = deadline is None  # a copy takes the time that it needs
                member = MemberBytes(searched, spec.member, self._label)
                searched.found = True
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
