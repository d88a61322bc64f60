"""What comes in one order and is read in any: it is put into a file of this host that has no name.

Such a file is gone with the last process that has it open, whatever ends that. It is written once,
in constant memory; blocks of zeros are left out.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from errno import EACCES, ENOSPC
from typing import Optional

from ..model.errors import errno_text
from ..model.import_policy import (
    OPTION_SPOOL_FOLDER,
    OPTION_SPOOL_MIN_FREE,
    OPTION_SPOOL_SIZE,
    ImportPolicy,
)
from ..model.source import StreamSpec
from ..model.units import format_size
from . import conversion
from .errors import SourceError
from .file import OpenFile
from .limits import Deadline
from .stream import BLOCK, Stream
from .unpacked import Expansion, Unpacked

_ZEROS = bytes(64 << 10)
_LOOKED_AT = 256 << 20  # bytes that an inspection takes of a file
_LOOKING = 8.0  # seconds that it takes for that; less for a file that expands much
_BEYOND = 1 << 40  # bytes that QEMU may think a file has of which the beginning alone is there
_IN_MEMORY = ("tmpfs", "ramfs")


class SpooledStream(OpenFile):
    """A stream that was put into a file. ``complete``: not only its beginning, for a look."""

    def __init__(self, served: Stream, descriptor: int, size: int, *, complete: bool) -> None:
        super().__init__(served.label, descriptor)
        self.size = size
        self.complete = complete
        self.identity = served.identity
        self.fickle = served.fickle


@dataclass(frozen=True)
class _Kept:
    served: Stream  # closed; it has the names
    descriptor: int
    size: int
    complete: bool

    def opened(self) -> SpooledStream:
        again = os.dup(self.descriptor)
        return SpooledStream(self.served, again, self.size, complete=self.complete)


class Spool:
    """The files of one source, which is put into them when it is opened first.

    ``partly``: for an inspection, which takes the beginning of a long one. ``progress`` gets the
    bytes that were taken, and how many there are, 0 if that is not known.
    """

    def __init__(
        self, *, partly: bool = False, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> None:
        self._partly = partly
        self._progress = progress
        self._kept: dict[StreamSpec, _Kept] = {}

    def has(self, spec: StreamSpec) -> Optional[SpooledStream]:
        """The stream, if it was put into a file before."""
        kept = self._kept.get(spec)
        return kept.opened() if kept is not None else None

    def put(
        self, served: Stream, spec: StreamSpec, policy: ImportPolicy, deadline: Optional[Deadline]
    ) -> SpooledStream:
        """Put a stream into a file. ``served`` is closed. Raises SourceError."""
        with served:
            descriptor = _unnamed(served.label, policy.spool_folder)
            try:
                size, complete = self._filled(descriptor, served, spec, policy, deadline)
                os.ftruncate(descriptor, size if complete else max(size, _BEYOND))
            except BaseException:
                os.close(descriptor)
                raise
        self._kept[spec] = kept = _Kept(served, descriptor, size, complete)
        return kept.opened()

    def _filled(
        self,
        descriptor: int,
        served: Stream,
        spec: StreamSpec,
        policy: ImportPolicy,
        deadline: Optional[Deadline],
    ) -> tuple[int, bool]:
        """Bytes that were put into the file, and whether that is all."""
        until = time.monotonic() + _LOOKING
        space = _Space(descriptor, spec, policy)
        space.require(0 if spec.compression or self._partly else served.size)
        expansion = Expansion()
        source = Unpacked(served, spec, summed=True, deadline=deadline)
        try:
            size = written = 0
            while True:
                data = source.read(BLOCK)
                if not data:
                    break
                space.require(written + len(data))
                written += _write(descriptor, size, data, spec)
                size += len(data)
                self._progress(source.served, served.size)
                enough = written >= _LOOKED_AT or time.monotonic() > until
                if self._partly and (enough or expansion.too_much(source.served, size)):
                    return size, False
            source.finish()
            return size, True
        finally:
            source.close()

    def close(self) -> None:
        """Give the space back."""
        kept, self._kept = self._kept, {}
        for one in kept.values():
            os.close(one.descriptor)


class _Space:
    """The space that a file may have."""

    def __init__(self, descriptor: int, spec: StreamSpec, policy: ImportPolicy) -> None:
        self._descriptor = descriptor
        self._spec = spec
        self._policy = policy

    def require(self, size: int) -> None:
        """Require that the file may have ``size`` bytes of data. Raises SourceError(ENOSPC)."""
        most, least = self._policy.spool_size, self._policy.spool_min_free
        if size > most:
            raise _full(self._spec, f"has more than {format_size(most)} ({OPTION_SPOOL_SIZE})")
        found = os.fstatvfs(self._descriptor)
        there = os.fstat(self._descriptor).st_blocks * 512
        free = found.f_bavail * found.f_frsize - max(0, size - there)
        if free < found.f_blocks * found.f_frsize * least // 100:
            where = f"{self._policy.spool_folder} free ({OPTION_SPOOL_MIN_FREE})"
            raise _full(self._spec, f"would leave less than {least} % of {where}")


def _full(spec: StreamSpec, why: str) -> SourceError:
    return SourceError(
        "SPOOL_FULL",
        ENOSPC,
        f"{spec.location} has to be on the manager's host before it is read, and {why}; unpack or "
        f"copy it to a folder that is open to imports, or let {OPTION_SPOOL_FOLDER} be a folder "
        f"with more space and raise {OPTION_SPOOL_SIZE}.",
        remedy=conversion.gathered(spec),
    )


def _unnamed(label: str, folder: str) -> int:
    """A descriptor of a new file without a name."""
    try:
        if not _in_memory(folder):
            with tempfile.TemporaryFile(dir=folder, buffering=0) as made:
                return os.dup(made.fileno())
        code, why = EACCES, "it is in memory"
    except OSError as error:
        code = error.errno or EACCES
        why = errno_text(code)
    raise SourceError(
        "SPOOL_FOLDER",
        code,
        f"{label} is put into {folder} of the manager's host before it is read, and no file "
        f"can be made there ({why}); give another folder with the option {OPTION_SPOOL_FOLDER}.",
    )


def _in_memory(folder: str) -> bool:
    """Whether the files of a folder take memory."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            words = line.split()
            if words[2] == wanted:
                return words[words.index("-") + 1] in _IN_MEMORY
    return False


def _write(descriptor: int, offset: int, data: bytes, spec: StreamSpec) -> int:
    """Write what is not zeros; its bytes. Raises SourceError."""
    written = 0
    for begin in range(0, len(data), len(_ZEROS)):
        at, part = offset + begin, data[begin : begin + len(_ZEROS)]
        if _ZEROS.startswith(part):
            continue
        written += len(part)
        while part:
            try:
                count = os.pwrite(descriptor, part, at)
            except OSError as error:
                why = errno_text(error.errno or ENOSPC)
                raise _full(spec, f"cannot be written there ({why})") from None
            part, at = part[count:], at + count
    return written
