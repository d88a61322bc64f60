"""The stream ``file``: a regular file of the host that reads it."""

from __future__ import annotations

import os
import stat
from errno import EINVAL, EIO, ELOOP, ENOENT, ENOTDIR, EPERM

from ..model.errors import errno_text
from ..model.import_policy import ImportPolicy
from .errors import SourceError
from .stream import Stream


class OpenFile(Stream):
    """A file that is open: its descriptor, which ends with this."""

    def __init__(self, label: str, descriptor: int) -> None:
        self.label = label
        self._fd = descriptor
        self.size = os.fstat(descriptor).st_size

    @property
    def descriptor(self) -> int:
        """The open file's descriptor, which ends with this."""
        return self._fd

    def read_at(self, offset: int, length: int) -> bytes:
        pieces = []
        while length:
            try:
                piece = os.pread(self._fd, min(length, 1 << 24), offset)
            except OSError as error:
                raise SourceError(
                    "FILE_UNREADABLE",
                    error.errno or EIO,
                    f"{self.label} cannot be read at {offset}: {errno_text(error.errno or EIO)}.",
                    transient=True,
                ) from None
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        os.close(self._fd)


class FileStream(OpenFile):
    """An open file. ``file_id``: its device and inode."""

    def __init__(self, path: str, policy: ImportPolicy) -> None:
        super().__init__(path, _open(path, policy))
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(
                    "FILE_NOT_REGULAR",
                    EINVAL,
                    f"{path} is {_what(status.st_mode)}; only a regular file can be imported.",
                )
        except BaseException:
            os.close(self._fd)
            raise
        self.file_id = (status.st_dev, status.st_ino)
        # No inode: the next manager's host may see the same file under another.
        self.identity = {"size": str(status.st_size), "modified": str(status.st_mtime_ns)}


def _open(path: str, policy: ImportPolicy) -> int:
    """A descriptor of exactly the file that the policy allowed, even if its name changes."""
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        real = path
    refused = policy.refuse_file(path, real)
    if refused:
        raise SourceError("FILE_REACH", EPERM, f"{refused}.")
    try:
        # O_NONBLOCK: do not wait for the writer of a FIFO.
        fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in {ENOENT, ENOTDIR}:
            raise SourceError(
                "FILE_MISSING",
                ENOENT,
                f"{path} does not exist on the manager's host; every host that opens the target "
                "must see the file under this path.",
            ) from None
        if error.errno == ELOOP:
            raise SourceError(
                "FILE_REACH", EPERM, f"{path} changed while it was inspected."
            ) from None
        raise SourceError(
            "FILE_UNREADABLE",
            EPERM,
            f"{path} cannot be opened by the manager: {errno_text(error.errno or EIO)}.",
        ) from None
    # A folder of the path may have become a link since: check the path that was opened.
    opened = os.readlink(f"/proc/self/fd/{fd}")
    refused = policy.refuse_file(path, opened)
    if refused:
        os.close(fd)
        raise SourceError("FILE_REACH", EPERM, f"{refused}.")
    return fd


def _what(mode: int) -> str:
    for test, what in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return what
    return "no regular file"
