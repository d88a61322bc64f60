"""The header of a QCOW file, in all three versions, from any stream.

Only the header is read here. Numbers out of range are refused before memory is allocated or data
is read according to them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from errno import EBADMSG, EINVAL, EOPNOTSUPP
from typing import Optional

from .errors import SourceError
from .stream import Stream

MAGIC = b"QFI\xfb"
MIN_CLUSTER_BITS, MAX_CLUSTER_BITS = 9, 21  # QEMU's own limits, and librbd's

# Incompatible features.
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
KNOWN_FEATURES = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2
CRYPT = {0: "", 1: "AES", 2: "LUKS"}
COMPRESSIONS = {0: "deflate", 1: "zstd"}

_EXTENSION_DATA_FILE = 0x44415441
_EXTENSION_BACKING_FORMAT = 0xE2792ACA
_MAX_EXTENSIONS = 64  # QEMU writes five at most
_MAX_NAME = 1023  # QEMU's limit for the name of a backing file


@dataclass(frozen=True)
class Header:
    """``size``: bytes of the disk. ``l1_size``: entries. Offsets are in the file, in bytes."""

    version: int
    size: int
    cluster_bits: int
    l2_bits: int
    l1_offset: int
    l1_size: int
    crypt: int = 0
    backing_file: str = ""
    snapshot_count: int = 0
    snapshots_offset: int = 0
    features: int = 0
    compression: int = 0
    data_file: str = ""
    backing_format: str = ""

    @property
    def cluster_size(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def l1_reach(self) -> int:
        """Bytes of the disk that one entry of the L1 table covers."""
        return 1 << (self.cluster_bits + self.l2_bits)

    @property
    def qemu_format(self) -> str:
        """The name of the format in qemu-img."""
        return "qcow" if self.version == 1 else "qcow2"


def broken(label: str, what: str) -> SourceError:
    """The error for a file that is inconsistent."""
    return SourceError(
        "QCOW_BROKEN",
        EBADMSG,
        f"{label} is damaged or not a QCOW file: {what}; look at it with `qemu-img check`.",
    )


def parse_header(stream: Stream) -> Header:
    """Parse the header. Raises SourceError for a header that is not valid."""
    data = stream.read(0, 112)
    if data[:4] != MAGIC:
        raise SourceError(
            "QCOW_MAGIC",
            EINVAL,
            f"{stream.label} is not a QCOW file: it {other_format(data) or 'begins otherwise'}; "
            "check the type in the source-spec.",
        )
    version = int.from_bytes(data[4:8], "big")
    if version == 1 and len(data) >= 48:
        return _version_1(stream, data)
    if version in {2, 3} and len(data) >= 72:
        return _version_2(stream, data, version)
    if version > 3:
        raise SourceError(
            "QCOW_VERSION",
            EOPNOTSUPP,
            f"{stream.label} is of QCOW version {version}, and librbd reads 1, 2 and 3.",
        )
    raise broken(stream.label, "its header is truncated")


def _version_1(stream: Stream, data: bytes) -> Header:
    fields = struct.unpack(">QIIQBBHIQ", data[8:48])
    backing_offset, backing_size, _, size, cluster_bits, l2_bits, _, crypt, l1_offset = fields
    _check_cluster_bits(stream, cluster_bits)
    if not MIN_CLUSTER_BITS - 3 <= l2_bits <= MAX_CLUSTER_BITS - 3:
        raise broken(stream.label, f"L2 tables of 2^{l2_bits} entries")
    return Header(
        version=1,
        size=_checked_size(stream, size),
        cluster_bits=cluster_bits,
        l2_bits=l2_bits,
        l1_offset=l1_offset,
        l1_size=-(-size >> (cluster_bits + l2_bits)),
        crypt=crypt,
        backing_file=_name(stream, backing_offset, backing_size),
    )


def _version_2(stream: Stream, data: bytes, version: int) -> Header:
    fields = struct.unpack(">QIIQIIQQIIQ", data[8:72])
    backing_offset, backing_size, cluster_bits, size, crypt, l1_size, l1_offset = fields[:7]
    snapshot_count, snapshots_offset = fields[9:]
    _check_cluster_bits(stream, cluster_bits)
    _checked_size(stream, size)
    features = compression = 0
    length = 72
    if version == 3:
        if len(data) < 104:
            raise broken(stream.label, "its header is truncated")
        features = int.from_bytes(data[72:80], "big")
        length = int.from_bytes(data[100:104], "big")
        if length < 104 or length % 8 or length > 1 << cluster_bits:
            raise broken(stream.label, f"a header of {length} bytes")
        if length > 104:
            compression = data[104]
    l2_bits = cluster_bits - 3 - bool(features & EXTENDED_L2)
    needed = -(-size >> (cluster_bits + l2_bits))
    if l1_size < needed:
        raise broken(stream.label, f"an L1 table of {l1_size} entries where {needed} are needed")
    return Header(
        version=version,
        size=size,
        cluster_bits=cluster_bits,
        l2_bits=l2_bits,
        l1_offset=l1_offset,
        l1_size=needed,
        crypt=crypt,
        backing_file=_name(stream, backing_offset, backing_size),
        snapshot_count=snapshot_count,
        snapshots_offset=snapshots_offset,
        features=features,
        compression=compression,
        data_file=_extension(stream, _EXTENSION_DATA_FILE, length, 1 << cluster_bits)
        if features & DATA_FILE
        else "",
        backing_format=_extension(stream, _EXTENSION_BACKING_FORMAT, length, 1 << cluster_bits)
        if backing_offset
        else "",
    )


def _check_cluster_bits(stream: Stream, bits: int) -> None:
    if not MIN_CLUSTER_BITS <= bits <= MAX_CLUSTER_BITS:
        raise broken(stream.label, f"clusters of 2^{bits} bytes")


def _checked_size(stream: Stream, size: int) -> int:
    if size >= 1 << 62:
        raise broken(stream.label, f"a disk of {size} bytes")
    return size


def _name(stream: Stream, offset: int, length: int) -> str:
    if not offset or not length:
        return ""
    if length > _MAX_NAME:
        raise broken(stream.label, f"a backing file's name of {length} bytes")
    return printable(stream.read(offset, length)) or "?"


def _extension(stream: Stream, wanted: int, offset: int, end: int) -> str:
    """The text of one of the header's extensions: the name of a file, or of a format."""
    for _ in range(_MAX_EXTENSIONS):
        head = stream.read(offset, 8)
        kind, length = struct.unpack(">II", head) if len(head) == 8 else (0, 0)
        if not kind or offset + 8 + length > end:
            break
        if kind == wanted:
            return printable(stream.read(offset + 8, min(length, _MAX_NAME)))
        offset += 8 + (length + 7) // 8 * 8
    return ""


def printable(data: bytes) -> str:
    """Bytes from a file as text for a message: one line, shortened."""
    text = data.decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]


DESCRIPTOR = b"# Disk DescriptorFile"  # of a VMDK disk, whose data is in other files

_MAGICS = (
    (0, MAGIC, "qcow", "is a QCOW file"),
    (0, b"KDMV", "vmdk", "is a VMDK file"),
    (0, b"COWD", "vmdk", "is a VMDK file"),
    (0, b"\xbe\xba\xfe\xca\0\0\0\0", "vmdk", "is a VMDK file"),
    (0, b"WithoutFreeSpace", "parallels", "is a Parallels disk"),
    (0, b"WithouFreSpacExt", "parallels", "is a Parallels disk"),
    (257, b"ustar", "tar", "is a tar archive, such as an OVA"),
    (0, b"\x04\x22\x4d\x18", "lz4", "is compressed by lz4"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z", "is a 7z archive"),
    (0, DESCRIPTOR, "vmdk", "is the descriptor of a VMDK file"),
    (0, b"vhdxfile", "vhdx", "is a VHDX file"),
    (0, b"conectix", "vpc", "is a VHD file"),
    (64, b"\x7f\x10\xda\xbe", "vdi", "is a VDI file"),
    (0, b"QED\0", "qed", "is a QED file"),
    (0, b"\x1f\x8b\x08", "gzip", "is compressed by gzip"),
    (0, b"\xfd7zXZ\0", "xz", "is compressed by xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd", "is compressed by zstd"),
    (0, b"BZh", "bzip2", "is compressed by bzip2"),
    (0, b"PK\x03\x04", "zip", "is a ZIP archive"),
    (0, b"rbd image v", "rbd", "is an export of `rbd export --export-format 2`"),
    (0, b"rbd diff v", "rbd", "is a diff of `rbd export-diff`"),
)
_FOOTERS = (
    (b"conectix", "vpc", "is a fixed VHD file, whose last 512 bytes are not part of the disk"),
    (b"koly", "dmg", "is a DMG file"),
)


def container(data: bytes) -> Optional[tuple[str, str]]:
    """The format by the first bytes of a file: (the name in qemu or the tool, a description)."""
    for offset, magic, name, words in _MAGICS:
        if data[offset : offset + len(magic)] == magic:
            return name, words
    return None


def footer(data: bytes) -> Optional[tuple[str, str]]:
    """The format by the last 512 bytes of a file."""
    for magic, name, words in _FOOTERS:
        if data.startswith(magic):
            return name, words
    return None


def other_format(data: bytes) -> str:
    """The description of the format by the first bytes; empty if not known."""
    known = container(data)
    return known[1] if known else ""
