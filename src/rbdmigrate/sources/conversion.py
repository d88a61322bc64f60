"""Commands that make of a source what librbd can read: for the remedies of findings."""

from __future__ import annotations

import posixpath
import shlex

from ..model.source import StreamSpec

_UNPACK = {
    "gzip": "gunzip",
    "xz": "unxz",
    "zstd": "unzstd",
    "bzip2": "bunzip2",
    "lz4": "unlz4",
    "zip": "unzip",
    "7z": "7z x",
    "tar": "tar -xf",
}


def convert(stream: StreamSpec, qemu_format: str) -> str:
    """The command that converts a disk into a QCOW file, thin and without what librbd cannot read.

    The new file has another name, in the folder of a file; otherwise in the working directory.
    """
    source, target = _from(stream), shlex.quote(_beside(stream))
    return f"qemu-img convert -f {qemu_format} -O qcow2 {source} {target}"


def convert_in_place(stream: StreamSpec, qemu_format: str) -> str:
    """The same from within the file's folder, where QEMU looks for further files of it.

    Empty for what is no file: QEMU would not find the further files.
    """
    if stream.type != "file":
        return ""
    folder, name = posixpath.split(stream.file_path)
    source, target = shlex.quote(f"./{name}"), shlex.quote(f"./{_renamed(name)}")
    return (
        f"cd {shlex.quote(folder)} && qemu-img convert -f {qemu_format} -O qcow2 {source} {target}"
    )


def decrypt(stream: StreamSpec, qemu_format: str) -> str:
    """The command that decrypts a disk; PASSPHRASE is the file that holds its passphrase."""
    place = _local(stream).replace(",", ",,")
    options = f"driver={qemu_format},encrypt.key-secret=s,file.filename={place}"
    return (
        "qemu-img convert --object secret,id=s,file=PASSPHRASE --image-opts "
        f"{shlex.quote(options)} -O qcow2 {shlex.quote(_beside(stream))}"
    )


def unpack(stream: StreamSpec, packed_by: str) -> str:
    """The commands that fetch and unpack a source; ``packed_by``: the name of its format."""
    command = f"{_UNPACK[packed_by]} {shlex.quote(_local(stream))}"
    if stream.type != "http":
        return command
    return f"curl -fO {shlex.quote(stream.url)} && {command}"


def unpackable(name: str) -> bool:
    """Whether ``name`` is a format that :func:`unpack` knows."""
    return name in _UNPACK


def _from(stream: StreamSpec) -> str:
    """What qemu-img reads: the source itself, but for objects that need a login."""
    return shlex.quote(_local(stream) if stream.type == "s3" else stream.location)


def _local(stream: StreamSpec) -> str:
    """The path of a file; for other streams the name that a fetched file has."""
    return stream.file_path or posixpath.basename(stream.location.rstrip("/")) or "image"


def _beside(stream: StreamSpec) -> str:
    folder, name = posixpath.split(_local(stream))
    return posixpath.join(folder, _renamed(name))


def _renamed(name: str) -> str:
    """Another name than the source's, so that nothing is written over that."""
    return (name.rsplit(".", 1)[0] or name) + ".import.qcow2"
