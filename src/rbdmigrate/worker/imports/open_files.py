"""Whether librbd has the files open that were checked.

librbd opens a file source by its path, some time after the path was checked. Whoever may write to
the folder can put a link to another file of the host there in between, such as the manager's
keyring. So the files that this process has open are compared with those that were checked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from errno import EPERM
from typing import NamedTuple, Optional

from ...model.errors import MigrationError
from ...model.import_policy import ImportPolicy
from ...model.source import SourceSpec
from ...sources.file import FileStream

_INTERVAL = 1.0  # seconds between two looks during a copy; a look takes some 0.1 ms


class FileId(NamedTuple):
    """What a file is, whatever its name."""

    device: int
    inode: int


class CheckedFiles:
    """The files of a source: their paths by what was there when they were checked."""

    def __init__(self, files: Mapping[FileId, str]) -> None:
        self._files = dict(files)

    @classmethod
    def of(cls, spec: SourceSpec, policy: ImportPolicy) -> CheckedFiles:
        """Check each file of ``spec``. Raises SourceError for one that may not be read."""
        files = {}
        for _, stream in spec.streams():
            if stream.type == "file":
                with FileStream(stream.file_path, policy) as opened:
                    files[FileId(*opened.file_id)] = stream.file_path
        return cls(files)

    def __bool__(self) -> bool:
        return bool(self._files)

    def not_open(self) -> str:
        """The path of a file that this process does not have open; empty when it has all.

        To be asked while librbd has the source open, and nothing else in this process has.
        """
        if not self._files:
            return ""
        missing = self._files.keys() - open_files()
        return self._files[min(missing)] if missing else ""

    def require_open(self) -> None:
        """Raise MigrationError(EPERM) when librbd has opened another file."""
        path = self.not_open()
        if path:
            raise MigrationError(EPERM, exchanged(path))

    def watched(
        self, on_progress: Callable[[int, int], int], give_up: Callable[[str], None]
    ) -> Callable[[int, int], int]:
        """``on_progress``, with a look at the first call and now and then.

        ``give_up`` gets the sentence when librbd has another file open. It must not return to the
        copy: librbd does not stop for what a callback returns.
        """
        if not self._files:
            return on_progress
        looked: Optional[float] = None

        def on_object(done: int, total: int) -> int:
            nonlocal looked
            now = time.monotonic()
            if looked is None or now - looked >= _INTERVAL:
                looked = now
                path = self.not_open()
                if path:
                    give_up(f"{exchanged(path)[:-1]}; what was copied may be of the other file.")
            return on_progress(done, total)

        return on_object


def exchanged(path: str) -> str:
    """The sentence for a file that was checked and is not what librbd opened."""
    return (
        f"The file {path} was exchanged for another one while it was opened, so nothing more is "
        "read; find out who else may write to its folder, and abort the import."
    )


def open_files() -> set[FileId]:
    """Every file that this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:  # closed since, as the folder itself is
            continue
        found.add(FileId(status.st_dev, status.st_ino))
    return found
