"""VMDK disks: the descriptor, which names the files that hold the data, and the parent."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from errno import EBADMSG, EINVAL, EOPNOTSUPP

from ..errors import SourceError
from ..qcow_header import DESCRIPTOR
from ..stream import Stream

_SECTOR = 512
_LONGEST = 64 << 10  # bytes of a descriptor
_MOST_EXTENTS = 256
_LARGEST_GRAIN = 8 << 11  # sectors, 8 MiB; VMware writes 64 KiB, and QEMU takes memory for one
_SPARSE, _VMFS_SPARSE, _SE_SPARSE = b"KDMV", b"COWD", b"\xbe\xba\xfe\xca"
_NO_PARENT = "ffffffff"
_EXTENT = re.compile(
    r'^(RW|RDONLY|NOACCESS) (\d{1,15}) ([A-Z0-9]{1,16})(?: "([^"\n]{1,500})")?(.*)$'
)
_FIELD = re.compile(r'^([A-Za-z.]+)\s*=\s*"?([^"\n]*)"?\s*$')
_KINDS = {"FLAT", "VMFS", "SPARSE", "VMFSSPARSE", "SESPARSE"}
_WITH_HEADER = {"SPARSE", "VMFSSPARSE"}


@dataclass(frozen=True)
class Extent:
    """A line of the descriptor: a file of this disk. ``kind`` is VMware's name for what it is."""

    kind: str
    file: str
    line: int

    @property
    def has_header(self) -> bool:
        """Whether the file begins with a header of VMDK."""
        return self.kind in _WITH_HEADER


@dataclass(frozen=True)
class Disk:
    """``lines`` of the descriptor, the ``extents`` in it, and the ``parent``'s name or ''.

    ``hidden``: what hides that name, by its offset in the file.
    """

    lines: tuple[str, ...]
    extents: tuple[Extent, ...]
    parent: str
    hidden: dict[int, bytes] = field(default_factory=dict)

    def with_files(self, files: list[str]) -> bytes:
        """The descriptor with other names for the files of the extents.

        QEMU reads an extent twice that comes after an empty line (7.2), so these are left out.
        """
        named = {extent.line: (extent.file, file) for extent, file in zip(self.extents, files)}
        lines = []
        for number, line in enumerate(self.lines):
            before, after = named.get(number, ("", ""))
            if line.strip():
                lines.append(line.replace(f'"{before}"', f'"{after}"') if before else line)
        return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _broken(stream: Stream, what: str) -> SourceError:
    return SourceError("VMDK_BROKEN", EBADMSG, f"{stream.label} is a damaged VMDK file: {what}.")


def read(stream: Stream) -> Disk:
    """What a VMDK file says of itself. Raises SourceError."""
    begin = stream.read(0, _SECTOR)
    if begin[:4] == _SPARSE:
        return _embedded(stream, begin)
    if begin[:4] in (_VMFS_SPARSE, _SE_SPARSE):
        raise SourceError(
            "VMDK_EXTENT",
            EOPNOTSUPP,
            f"{stream.label} has the data of a VMDK disk of ESX, without its descriptor; give the "
            "descriptor, the small text file that names it.",
        )
    if not begin.startswith(DESCRIPTOR):
        raise SourceError(
            "FORMAT_OTHER",
            EINVAL,
            f"{stream.label} is not a VMDK file; check the type in the source-spec.",
        )
    if stream.size > _LONGEST:
        raise _broken(stream, f"its descriptor has {stream.size} bytes")
    disk = _parsed(stream, stream.read(0, _LONGEST))
    if not disk.extents:
        raise _broken(stream, "its descriptor names no file with data")
    return disk


def capacity(stream: Stream) -> int:
    """Bytes of the disk in a file with data, as its header says; 0 for any other file."""
    begin = stream.read(0, 20)
    return int.from_bytes(begin[12:20], "little") * _SECTOR if begin[:4] == _SPARSE else 0


def require_sparse(stream: Stream) -> None:
    """Require that an extent is one by itself, and no descriptor of others. SourceError."""
    begin = stream.read(0, _SECTOR)
    if begin[:4] not in (_SPARSE, _VMFS_SPARSE):
        raise _broken(stream, "it does not begin as the descriptor says")
    _require_capacity(stream, begin)


def _require_capacity(stream: Stream, begin: bytes) -> None:
    if len(begin) < 80:
        raise _broken(stream, "its header is cut off")
    form = "<QQ" if begin[:4] == _SPARSE else "<II"
    capacity, grain = struct.unpack_from(form, begin, 12)
    if not capacity:
        raise _broken(stream, "it has a capacity of 0")
    if not 0 < grain <= _LARGEST_GRAIN:
        raise _broken(stream, f"it has grains of {grain} sectors")


def _embedded(stream: Stream, begin: bytes) -> Disk:
    """A file with data: of its descriptor only the parent counts."""
    _require_capacity(stream, begin)
    offset, length = struct.unpack("<QQ", begin[28:44])
    offset, length = offset * _SECTOR, min(length * _SECTOR, _LONGEST)
    if not offset or not length or offset >= stream.size:
        return Disk((), (), "")
    content = stream.read(offset, length)
    name = re.search(rb"^parentFileNameHint", content, re.MULTILINE)
    hidden = {offset + name.start(): b"#"} if name else {}
    return Disk((), (), _parsed(stream, content).parent, hidden)


def _parsed(stream: Stream, content: bytes) -> Disk:
    lines = content.partition(b"\0")[0].decode("utf-8", "surrogateescape").splitlines()
    extents: list[Extent] = []
    fields: dict[str, str] = {}
    for number, line in enumerate(lines):
        named = _FIELD.match(line.strip())
        if named:
            fields[named[1]] = named[2]
        if not line.startswith(("RW ", "RDONLY ", "NOACCESS ")):
            continue
        match = _EXTENT.match(line)
        if match is None:
            raise _broken(stream, f"line {number + 1} of its descriptor is not an extent")
        access, _, kind, file, _ = match.groups()
        if access != "RW" or kind == "ZERO":
            continue  # QEMU leaves these out
        if kind not in _KINDS or not file:
            raise SourceError(
                "VMDK_EXTENT",
                EOPNOTSUPP,
                f"{stream.label} has an extent of the type {kind}, which is not read; export the "
                "disk to one file.",
            )
        extents.append(Extent(kind, file, number))
    if len(extents) > _MOST_EXTENTS:
        raise _broken(stream, f"it has {len(extents)} extents")
    parent = ""
    if fields.get("parentCID", _NO_PARENT).lower() != _NO_PARENT:
        parent = fields.get("parentFileNameHint", "") or "?"
    return Disk(tuple(lines), tuple(extents), parent)
