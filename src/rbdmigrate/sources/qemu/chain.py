"""The nodes of a disk for QEMU: its file, and every file that is named inside of it.

QEMU never looks for a file, a format or a server by itself: each node says its driver, and every
backing file, data file and extent is one that the import policy allowed. What a file names is
checked here, before QEMU reads it.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from errno import EBADMSG, EINVAL, ELOOP, EOPNOTSUPP
from urllib.parse import quote

from ...model.source import StreamSpec
from ..conversion import convert_fetched, gathered, merged
from ..errors import SourceError
from ..qcow_header import (
    CRYPT,
    DATA_FILE,
    Header,
    container,
    footer,
    parse_header,
    printable,
)
from ..stream import Stream
from ..unpacked import partly
from . import vmdk
from .files import Files, Node
from .vhdx_map import has_parent

FORMATS = {
    "qcow": "a QCOW file",
    "vmdk": "a VMDK file",
    "vhdx": "a VHDX file",
    "vpc": "a VHD file",
    "vdi": "a VDI file",
    "parallels": "a Parallels disk",
}
"""The formats that QEMU reads, by the names of its drivers (``qcow`` is for all versions)."""

_BACKING = {"qcow2": "qcow", "qcow": "qcow", "raw": "raw", "vmdk": "vmdk", "vpc": "vpc",
            "vhdx": "vhdx", "vdi": "vdi", "parallels": "parallels"}  # fmt: skip
_DEEPEST = 32  # files of a chain
_DYNAMIC, _DIFFERENCING = 3, 4  # types of a VHD
_PARALLELS_HEADER = 64  # bytes before the table of blocks
_LARGEST_BLOCK = 16 << 20  # bytes; Parallels writes 1 MiB
_MOST_BLOCKS = 1 << 22  # of a VHD: 2 TiB in blocks of 512 KiB


def node_of(files: Files, spec: StreamSpec, kind: str, passphrase: str = "") -> Node:
    """The node of a disk. ``passphrase`` is the id of QEMU's secret. Raises SourceError."""
    return _node(files, spec, kind, passphrase, 1)


def _node(files: Files, spec: StreamSpec, kind: str, passphrase: str, depth: int) -> Node:
    if depth > _DEEPEST:
        raise SourceError(
            "BACKING_DEPTH",
            ELOOP,
            f"{spec.location} is the file number {depth} of a chain of backing files, and no more "
            f"than {_DEEPEST} are read.",
        )
    stream = files.open(spec)
    if kind == "raw":
        return {"driver": "raw", "file": files.node(stream)}
    if kind == "qcow":
        return _qcow(files, spec, stream, passphrase, depth)
    if kind == "vmdk":
        return _vmdk(files, spec, stream, depth)
    _require_format(stream, spec, kind)
    return {"driver": kind, "file": files.node(stream)}


def _require_format(stream: Stream, spec: StreamSpec, kind: str) -> None:
    """Require that the content is what the spec says. Raises SourceError."""
    begin = stream.read(0, 512)
    known = container(begin)
    last = stream.read(stream.size - 512, 512) if stream.size >= 512 else b""
    if not stream.complete:
        last = begin  # a dynamic VHD has its footer there too
    if known is None and last:
        known = footer(last)
    if known is None and not stream.complete:
        raise partly(stream.label)
    if known is None or known[0] != kind:
        words = known[1] if known else "begins otherwise"
        raise SourceError(
            "FORMAT_OTHER",
            EINVAL,
            f"{stream.label} is not {FORMATS[kind]}: it {words}; check the type in the "
            "source-spec.",
        )
    if kind == "vpc" and int.from_bytes(last[60:64], "big") == _DIFFERENCING:
        how = (
            "with Merge-VHD of Hyper-V, or with vhdimount, which shows the merged disk (that of "
            "Debian 13 cannot, for it was built without FUSE)"
        )
        raise _differences("VHD_DIFFERENCING", stream, "VHD", how, merged(spec))
    if kind == "vhdx" and has_parent(stream.read):
        raise _differences("VHDX_DIFFERENCING", stream, "VHDX", "with Merge-VHD of Hyper-V")
    if kind == "vpc":
        _require_vhd_table(stream, last)
    elif kind == "parallels":
        _require_parallels_table(stream)


def _differences(code: str, stream: Stream, form: str, how: str, remedy: str = "") -> SourceError:
    return SourceError(
        code,
        EOPNOTSUPP,
        f"{stream.label} holds the differences to another {form} file, which QEMU does not read; "
        f"merge both first, {how}.",
        remedy=remedy,
    )


def _require_parallels_table(stream: Stream) -> None:
    """Require that the table of blocks is within the file, and that blocks are no longer than any.

    QEMU takes memory for all of the table, and for a block. Raises SourceError.
    """
    block = int.from_bytes(stream.read(28, 4), "little") * 512
    if block > _LARGEST_BLOCK:
        raise SourceError(
            "FORMAT_BROKEN",
            EBADMSG,
            f"{stream.label} is a damaged Parallels disk: its blocks have {block} bytes.",
        )
    entries = int.from_bytes(stream.read(32, 4), "little")
    if _PARALLELS_HEADER + 4 * entries > stream.size:
        raise SourceError(
            "FORMAT_BROKEN",
            EBADMSG,
            f"{stream.label} is a damaged Parallels disk: its table of {entries} blocks is longer "
            "than the file.",
        )


def _require_vhd_table(stream: Stream, footer: bytes) -> None:
    """Require that the table of a dynamic VHD is not longer than any that is used.

    QEMU reads it as a whole. Raises SourceError.
    """
    if int.from_bytes(footer[60:64], "big") != _DYNAMIC:
        return
    header = stream.read(int.from_bytes(footer[16:24], "big"), 32)
    entries = int.from_bytes(header[28:32], "big")
    if len(header) < 32 or entries > _MOST_BLOCKS:
        raise SourceError(
            "FORMAT_BROKEN",
            EBADMSG,
            f"{stream.label} is a damaged VHD file: its table of blocks is missing, or has more "
            f"than {_MOST_BLOCKS} entries.",
        )


def _qcow(files: Files, spec: StreamSpec, stream: Stream, passphrase: str, depth: int) -> Node:
    header = parse_header(stream)
    node: Node = {"driver": header.qemu_format, "backing": None}
    if header.crypt:
        node["encrypt"] = _encryption(stream, header, passphrase)
    if header.backing_file:
        node["backing"] = _backing(files, spec, stream, header, depth)
    if header.features & DATA_FILE:
        neighbour = _named(spec, header.data_file, "data file")
        node["data-file"] = files.node(files.open(neighbour))
    node["file"] = _file(files, stream, node, {8: bytes(12)})
    return node


def _file(files: Files, stream: Stream, node: Node, hidden: dict[int, bytes]) -> Node:
    """The file of a node. What it says of its backing file is ``hidden`` where that is a socket."""
    backing = node["backing"]
    served = backing is not None and backing["file"]["driver"] == "nbd"
    return files.node(stream, hidden if served else None)


def _encryption(stream: Stream, header: Header, passphrase: str) -> Node:
    how = CRYPT.get(header.crypt)
    if how is None:
        raise SourceError(
            "QCOW_ENCRYPTED",
            EOPNOTSUPP,
            f"{stream.label} is encrypted by the unknown method {header.crypt}.",
        )
    if not passphrase:
        raise SourceError(
            "PASSPHRASE_MISSING",
            EINVAL,
            f'{stream.label} is encrypted ({how}); add "passphrase": "config://KEY" to the '
            "source-spec.",
        )
    return {"format": how.lower(), "key-secret": passphrase}


def _backing(files: Files, spec: StreamSpec, stream: Stream, header: Header, depth: int) -> Node:
    said = header.backing_format
    if said not in _BACKING:
        about = f"of the format {said!r}" if said else "whose format it does not say"
        raise SourceError(
            "BACKING_FORMAT",
            EOPNOTSUPP,
            f"{stream.label} has the backing file {header.backing_file}, {about}, and a format is "
            "never guessed; `qemu-img rebase -u -F FORMAT -b BACKING_FILE` writes it down.",
        )
    neighbour = _named(spec, header.backing_file, "backing file")
    return _node(files, neighbour, _BACKING[said], "", depth + 1)


def _vmdk(files: Files, spec: StreamSpec, stream: Stream, depth: int) -> Node:
    disk = vmdk.read(stream)
    node: Node = {"driver": "vmdk", "backing": None}
    if disk.parent:
        neighbour = _named(spec, disk.parent, "parent")
        node["backing"] = _node(files, neighbour, "vmdk", "", depth + 1)
    if not disk.extents:
        node["file"] = _file(files, stream, node, disk.hidden)
        return node
    if spec.type != "file" or spec.member or spec.compression:
        raise SourceError(
            "VMDK_EXTENT",
            EOPNOTSUPP,
            f"{stream.label} is the descriptor of a VMDK disk in several files, which are read "
            "from a folder only; fetch them, or export the disk to one file.",
            remedy=_in_one_file(spec, disk),
        )
    paths = []
    for extent in disk.extents:
        part = files.open(_named(spec, extent.file, "extent"))
        if extent.has_header:
            vmdk.require_sparse(part)
        paths.append(str(files.node(part)["filename"]))
    number = files.in_memory(disk.with_files(paths))
    node["file"] = {"driver": "file", "filename": f"/proc/self/fd/{number}"}
    return node


def _in_one_file(spec: StreamSpec, disk: vmdk.Disk) -> str:
    """The command that fetches a disk in several files and makes one of them."""
    if spec.member or spec.compression:
        return gathered(spec)
    if spec.type != "http":
        return ""
    files = dict.fromkeys(extent.file for extent in disk.extents)
    return convert_fetched(spec, [_named(spec, file, "extent").url for file in files], "vmdk")


def _named(spec: StreamSpec, name: str, what: str) -> StreamSpec:
    """The stream of a file that is named in another one. Raises SourceError."""
    plain = name.removeprefix("file:")
    scheme = ":" in plain.partition("/")[0]
    if not plain or scheme or plain != printable(plain.encode("utf-8", "surrogateescape")):
        raise SourceError(
            "BACKING_NAME",
            EOPNOTSUPP,
            f"{spec.location} names its {what} as {printable(name.encode('utf-8', 'replace'))!r}, "
            "which is no path of a file; only files are followed.",
        )
    if spec.member or spec.compression:
        inside = f"{spec.member!r} in {spec.location}" if spec.member else spec.location
        raise SourceError(
            "BACKING_NAME",
            EOPNOTSUPP,
            f"{inside} names its {what} as {plain!r}, and what a disk in an archive or a "
            "compressed file names is not followed; unpack it first.",
            remedy=gathered(spec),
        )
    if spec.type == "file":
        folder = posixpath.dirname(spec.file_path)
        return StreamSpec("file", file_path=posixpath.normpath(posixpath.join(folder, plain)))
    if spec.type == "nbd" or plain.startswith("/") or ".." in plain.split("/"):
        raise SourceError(
            "BACKING_NAME",
            EOPNOTSUPP,
            f"{spec.location} names its {what} as {plain!r}, which is not next to it; only files "
            "in the same folder, or below it, are followed there.",
        )
    return replace(spec, checksum="", url=f"{spec.url.rpartition('/')[0]}/{quote(plain)}")
