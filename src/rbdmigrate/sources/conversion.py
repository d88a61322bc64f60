"""Commands that convert a source into a form that librbd reads, for the remedies of findings."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from urllib.parse import unquote

from ..model.source import COMPRESSIONS, StreamSpec

_UNPACK = {
    **COMPRESSIONS,
    "lz4": "unlz4",
    "zip": "unzip",
    "7z": "7z x",
    "tar": "tar -xf",
}

_SUFFIXES = ("gz", "xz", "zst", "bz2")


def convert(stream: StreamSpec, qemu_format: str, to: str = "qcow2") -> str:
    """The command that converts a disk into a sparse QCOW file that librbd can read, or into a raw
    one. The new file has another name. It is created in the folder of a source file, or else in the
    working directory.
    """
    source, target = _from(stream), shlex.quote(_converted_path(stream, to))
    return f"qemu-img convert -f {qemu_format} -O {to} {source} {target}"


def convert_in_place(stream: StreamSpec, qemu_format: str, to: str = "qcow2") -> str:
    """The same command in the file's folder, where QEMU looks for files it refers to. Empty for
    other streams: QEMU would not find those files, also next to a URL (7.2).
    """
    if stream.type != "file":
        return ""
    folder, name = posixpath.split(stream.file_path)
    source, target = shlex.quote(f"./{name}"), shlex.quote(f"./{_renamed(name, to)}")
    return (
        f"cd {shlex.quote(folder)} && qemu-img convert -f {qemu_format} -O {to} {source} {target}"
    )


def joined(stream: StreamSpec, data_url: str) -> str:
    """The command that makes one file of a QCOW file on a web server and its external data file.

    Both are fetched first: QEMU does not look for a data file next to a URL (7.2).
    """
    place, data = _local(stream), _last(data_url)
    options = (
        f"driver=qcow2,file.driver=file,file.filename={_doubled(place)},"
        f"data-file.driver=file,data-file.filename={_doubled(data)}"
    )
    return (
        f"{copied(stream.url)} && {copied(data_url)} && qemu-img convert --image-opts "
        f"{shlex.quote(options)} -O qcow2 {shlex.quote(_converted_path(stream))}"
    )


def convert_fetched(
    stream: StreamSpec, others: Sequence[str], qemu_format: str, to: str = "qcow2"
) -> str:
    """The command that converts a disk on a web server whose data is in ``others``, by their URLs.

    QEMU finds them next to the disk once all are fetched.
    """
    fetch = " && ".join(copied(url) for url in (stream.url, *others))
    source, target = shlex.quote(f"./{_local(stream)}"), shlex.quote(_converted_path(stream, to))
    return f"{fetch} && qemu-img convert -f {qemu_format} -O {to} {source} {target}"


def decrypt(stream: StreamSpec, qemu_format: str) -> str:
    """The command that decrypts a disk; PASSPHRASE is the file that holds its passphrase."""
    fetch, _ = fetched(stream)
    place = _doubled(_local(stream))
    options = f"driver={qemu_format},encrypt.key-secret=s,file.filename={place}"
    return (
        f"{fetch}qemu-img convert --object secret,id=s,file=PASSPHRASE --image-opts "
        f"{shlex.quote(options)} -O qcow2 {shlex.quote(_converted_path(stream))}"
    )


def repaired(stream: StreamSpec, what: str = "all") -> str:
    """The command with which QEMU repairs a disk, or replays its log. ``what``: as of ``-r``."""
    fetch, path = fetched(stream)
    if stream.member or stream.compression:
        fetch, path = f"{gathered(stream)} && ", shlex.quote(stream.member or _unpacked(stream))
    return f"{fetch}qemu-img check -r {what} {path}"


def merged(stream: StreamSpec) -> str:
    """The commands that make one disk of a VHD file and its parents, which are next to it.

    Empty for other streams: the file would be there without its parents.
    """
    if stream.type != "file" or stream.member or stream.compression:
        return ""
    folder, name = posixpath.split(stream.file_path)
    file, parts = shlex.quote(f"./{name}"), shlex.quote(f"./{name}.parts")
    target = shlex.quote(f"./{_renamed(name, 'qcow2')}")
    return (
        f"cd {shlex.quote(folder)} && mkdir {parts} && vhdimount {file} {parts} && "
        f'qemu-img convert -f raw -O qcow2 "$(ls -v {parts}/vhdi* | tail -n 1)" {target} && '
        f"fusermount -u {parts}"
    )


def unpack(stream: StreamSpec, packed_by: str) -> str:
    """The commands that fetch and unpack a source; ``packed_by``: the name of its format."""
    fetch, path = fetched(stream)
    return f"{fetch}{_UNPACK[packed_by]} {path}"


def gathered(stream: StreamSpec, *, archive: bool = False) -> str:
    """The commands after which a disk that is packed, or on a web server, is a file of its own.

    ``archive``: what was packed is one, of which no member was named.
    """
    if not stream.member and not stream.compression:
        return copied(stream.url) if stream.type == "http" else ""
    fetch, path = fetched(stream)
    if stream.member or archive:  # tar finds out how it is compressed
        member = f" {shlex.quote(stream.member)}" if stream.member else ""
        return f"{fetch}tar -xf {path}{member}"
    return f"{fetch}{_UNPACK[stream.compression]} {path}"


def counted(stream: StreamSpec) -> str:
    """The command that counts the bytes of the disk in a stream that is read in order only."""
    unpacked = COMPRESSIONS.get(stream.compression, "cat")
    unpacked += " -c" if stream.compression else ""
    if stream.type == "http":
        fetch = f"curl -fL {shlex.quote(stream.url)}"
        return f"{fetch} | {unpacked} | wc -c" if stream.compression else f"{fetch} | wc -c"
    return f"{unpacked} {shlex.quote(_local(stream))} | wc -c"


def fetched(stream: StreamSpec) -> tuple[str, str]:
    """The beginning of a command line that fetches what a web server has, and the file's path, as
    they are written in a shell. The beginning is empty for other streams.
    """
    fetch = f"{copied(stream.url)} && " if stream.type == "http" else ""
    return fetch, shlex.quote(_local(stream))


def copied(url: str) -> str:
    """The command that copies what a web server has into the working directory."""
    return f"curl -fLo {shlex.quote(_last(url))} {shlex.quote(url)}"


def unpackable(name: str) -> bool:
    """Whether ``name`` is a format that :func:`unpack` knows."""
    return name in _UNPACK


def _from(stream: StreamSpec) -> str:
    """The name that qemu-img reads: the source itself, except objects that need a login."""
    return shlex.quote(_local(stream) if stream.type == "s3" else stream.location)


def _local(stream: StreamSpec) -> str:
    """The path of a file; for other streams the name of the downloaded file."""
    return stream.file_path or _last(stream.location)


def _unpacked(stream: StreamSpec) -> str:
    """The path of a compressed file after it was unpacked."""
    path, _, suffix = _local(stream).rpartition(".")
    return path if path and suffix in _SUFFIXES else _local(stream)


def _doubled(text: str) -> str:
    """A value among QEMU's options."""
    return text.replace(",", ",,")


def _last(url: str) -> str:
    """The name of the file that a URL leads to, for the copy of it."""
    name = posixpath.basename(url.rstrip("/"))
    plain = unquote(name)
    if plain.isprintable() and "/" not in plain:
        name = plain
    return "image" if name in {"", ".", "..", "-"} else name


def _converted_path(stream: StreamSpec, to: str = "qcow2") -> str:
    folder, name = posixpath.split(_local(stream))
    return posixpath.join(folder, _renamed(name, to))


def _renamed(name: str, to: str) -> str:
    """A name other than the source's, so that the source is not overwritten."""
    return (name.rsplit(".", 1)[0] or name) + f".import.{to}"
