"""An initramfs: an archive of the format newc, compressed, with regular files only."""

import gzip
from collections.abc import Mapping

_DIRECTORY, _FILE = 0o040755, 0o100755


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of files by their paths, which begin without a slash."""
    made: list[bytes] = []
    folders: set[str] = set()
    for path, data in files.items():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                made.append(_entry(folder, _DIRECTORY, b"", len(made) + 1))
        made.append(_entry(path, _FILE, data, len(made) + 1))
    made.append(_entry("TRAILER!!!", 0, b"", 0))
    return gzip.compress(b"".join(made), compresslevel=1, mtime=0)


def _entry(name: str, mode: int, data: bytes, number: int) -> bytes:
    """Return one member: the header's 13 numbers, the name and the data, each padded to 4 bytes."""
    links, owner, time, device = 1, 0, 0, 0
    numbers = (
        number, mode, owner, owner, links, time, len(data),
        device, device, device, device, len(name) + 1, 0,
    )  # fmt: skip
    header = b"070701" + b"".join(b"%08X" % value for value in numbers)
    return _padded(header + name.encode() + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
