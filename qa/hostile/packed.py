"""Good disks in compressed files and archives, from which faulty ones are made."""

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Callable, Union

from .bases import MIB

SIZE = 4 * MIB  # of the good disks
_MEMBER = "disk"
_PART, _PARTS = 16 * MIB, 64  # of zeros, that a file unpacks to


def _zstd(data: bytes) -> bytes:
    done = subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True, timeout=60)
    return done.stdout


def _tar(data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in (("disk.ovf", b"<Envelope/>"), (_MEMBER, data)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def _zip(data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(_MEMBER, data)
    return made.getvalue()


@dataclass(frozen=True)
class Packing:
    """How a file is packed.

    ``fields``: what a stream says of it. ``unpack``: the tool that writes the disk to its standard
    output, before and after the file's name; nothing where we do not read it.
    """

    fields: "Mapping[str, str]"
    pack: Callable[[bytes], bytes]
    unpack: "tuple[tuple[str, ...], tuple[str, ...]]" = ((), ())

    def stream(self, kind: str) -> "dict[str, Union[str, int]]":
        """The fields of the stream of a disk of this type."""
        sized = kind == "raw" and "compression" in self.fields and "member" not in self.fields
        return {**self.fields, **({"size": SIZE} if sized else {})}


PACKINGS = {
    "gzip": Packing({"compression": "gzip"}, gzip.compress, (("gzip", "-dc"), ())),
    "xz": Packing({"compression": "xz"}, lzma.compress, (("xz", "-dc"), ())),
    "zstd": Packing({"compression": "zstd"}, _zstd, (("zstd", "-dc"), ())),
    "bzip2": Packing({"compression": "bzip2"}, bz2.compress, (("bzip2", "-dc"), ())),
    "tar": Packing({"member": _MEMBER}, _tar, (("tar", "-xOf"), (_MEMBER,))),
    "tar-gzip": Packing(
        {"member": _MEMBER, "compression": "gzip"},
        lambda data: gzip.compress(_tar(data)),
        (("tar", "-xOzf"), (_MEMBER,)),
    ),
    "zip": Packing({}, _zip),
}

#: The base of each disk that is packed; the empty one is raw.
PACKED = ("", "qcow2", "vmdk-stream", "vhdx")


def regions(packing: str, length: int) -> "tuple[tuple[int, int], ...]":
    """Where a change matters most, as offsets and lengths; negative ones from the end."""
    if packing == "tar":
        return ((0, 512), (1024, 512), (1536, 4096))
    return ((0, min(64, length)), (-min(64, length), min(64, length)), (0, length))


def bombs(qcow: bytes) -> "Iterator[tuple[str, str, bytes]]":
    """Files that unpack to much more than they say, or than is put into a file for a look.

    Each is the name of a packing, the type of the disk, and the file. Zeros are not written to that
    file, a pattern is.
    """
    for content in (bytes(_PART), b"ab" * (_PART // 2)):
        for name in ("gzip", "xz", "zstd", "bzip2"):
            how = PACKINGS[name]
            rest = how.pack(content) * _PARTS
            yield name, "raw", rest
            yield name, "qcow", how.pack(qcow) + rest
        before = tarfile.TarInfo("before")
        before.size = _PART * _PARTS
        yield "tar-gzip", "qcow", gzip.compress(before.tobuf()) + gzip.compress(content) * _PARTS
