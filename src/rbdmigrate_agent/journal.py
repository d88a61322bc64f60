"""The pauses under way, on disk: a restarted agent brings them to their end.

An entry is on the disk before the guest is paused, and goes when the guest runs again and the
manager knows.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.errors import RecordError
from rbdmigrate.model.spec import ImageSpec

from .guests.model import DiskExchange

_SUFFIX = ".pause"


@dataclass(frozen=True)
class PausedDisk:
    """A disk of a guest, with its migration and the images before and after the exchange.

    ``back``: the image before is the migration's target.
    """

    migration: str
    source: ImageSpec
    target: ImageSpec
    exchange: DiskExchange
    back: bool = False


@dataclass(frozen=True)
class Pause:
    """A pause of one guest. ``reached`` names the connection by which the guest is reached."""

    token: str
    guest: str
    reached: str
    max_pause: float
    disks: tuple[PausedDisk, ...]

    @property
    def migrations(self) -> tuple[str, ...]:
        """The ids of the migrations."""
        return tuple(disk.migration for disk in self.disks)


class Journal:
    """The entries, one file each in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, pause: Pause) -> None:
        """Store an entry; when this returns it survives a crash of the host. Raises OSError."""
        path = self._path(pause.token)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        with draft.open("w") as file:
            json.dump(to_plain(pause), file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        self._sync_folder()

    def remove(self, token: str) -> None:
        """Remove an entry, if it is there. Raises OSError."""
        self._path(token).unlink(missing_ok=True)

    def read(self) -> tuple[list[Pause], list[str]]:
        """All entries, and a sentence for each file that cannot be read."""
        pauses, problems = [], []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                pauses.append(from_plain(Pause, json.loads(path.read_text()), "pause"))
            except (OSError, ValueError, RecursionError, RecordError) as error:
                problems.append(f"{path} cannot be read ({error}); look at its guest yourself.")
        return pauses, problems

    def _path(self, token: str) -> Path:
        return self._folder / f"{token}{_SUFFIX}"

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
