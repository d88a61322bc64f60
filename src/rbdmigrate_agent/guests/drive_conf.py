"""Ceph settings that stand in the file name of an old ``-drive``, such as Proxmox VE's keyring.

``blockdev-add`` takes no settings of Ceph but a configuration file. So a file is written for the
disk: the one that it uses, with the settings in the section of its user.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Optional

from .errors import GuestError

_DEFAULT = "/etc/ceph/ceph.conf"
_SECRETS = ("key",)
_NAME = re.compile(r"[A-Za-z0-9_ -]+")
_VALUE = re.compile(r"[A-Za-z0-9_./:,\[\]@+ -]*")  # nothing that Ceph reads as more than a text


def unusable(settings: dict[str, str]) -> list[str]:
    """Return the settings that cannot stand in a file: secrets, and what Ceph would read again."""
    return [
        key
        for key, value in _plain(settings).items()
        if key in _SECRETS or not _NAME.fullmatch(key) or not _VALUE.fullmatch(value)
    ]


class DriveConfs:
    """The files, in ``folder``; None: there is no place for them."""

    def __init__(self, folder: Optional[Path]) -> None:
        self._folder = folder

    def written(self, disk: str, conf: str, user: str, settings: dict[str, str], owner: int) -> str:
        """Write the file of a disk for the process of the account ``owner``; return its path.

        ``conf`` is the file that it adds to; empty: the default one, if it is there. Raises
        GuestError.
        """
        if self._folder is None:
            raise GuestError("There is no folder for a configuration file; give --state.")
        path = self._path(self._folder, disk)
        draft = path.with_suffix(".new")
        lines = [f"{key} = {value}\n" for key, value in _plain(settings).items()]
        try:
            text = Path(conf or _DEFAULT).read_text() if conf or Path(_DEFAULT).exists() else ""
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as to:
                to.write(f"{text}\n[client.{user or 'admin'}]\n{''.join(lines)}")
            os.chown(draft, owner, -1)
            draft.rename(path)
        except (OSError, UnicodeDecodeError) as error:
            raise GuestError(
                f"The configuration file {path} cannot be written: {error}."
            ) from error
        return str(path)

    def remove(self, disk: str) -> None:
        """Remove the file of a disk, if there is one. Raises GuestError."""
        if self._folder is None:
            return
        path = self._path(self._folder, disk)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise GuestError(f"The file {path} cannot be removed: {error}.") from error

    @staticmethod
    def _path(folder: Path, disk: str) -> Path:
        return folder / f"{hashlib.sha256(disk.encode()).hexdigest()[:16]}.conf"


def _plain(settings: dict[str, str]) -> dict[str, str]:
    """Ceph also separates monitors with ``;``, which begins a comment in a file."""
    return {
        key: value.replace(";", ",") if key in ("mon_host", "mon host") else value
        for key, value in settings.items()
    }
