"""Files that name others: outside of the folder, devices, servers, themselves."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .bases import MIB, run

SECRET = "canary"  # the name of a file outside of the folder


@dataclass(frozen=True)
class Named:
    """A file and the type of its source-spec."""

    type: str
    path: Path


def names(outside: Path, port: int) -> "list[str]":
    """Names that no disk may lead to. ``port``: where a server listens on loopback."""
    server = f"127.0.0.1:{port}"
    return [
        "/etc/shadow",
        str(outside),
        f"../{outside.name}",
        f"./../{outside.parent.name}/../{outside.name}",
        f"file:{outside}",
        f"file://{outside}",
        "leads-out",
        "fifo",
        "/dev/zero",
        "/proc/self/environ",
        f"nbd://{server}/x",
        f"nbd:{server}",
        f"http://{server}/x",
        f"ssh://{server}/x",
        f"rbd:rbd/x:mon_host={server}",
        'json:{"driver":"file","filename":"/etc/shadow"}',
        f'json:{{"driver":"nbd","host":"127.0.0.1","port":"{port}"}}',
        "blkdebug::/etc/shadow",
        "fat:/etc",
        "a\n`id`\x1b[31m",
        "x" * 1000,
    ]


def made(folder: Path, outside: Path, port: int) -> "Iterator[Named]":
    """Make the files, in ``folder``."""
    (folder / "leads-out").symlink_to(outside)
    os.mkfifo(folder / "fifo")
    for number, name in enumerate(names(outside, port)):
        yield from _naming(folder, number, name)
    yield from _loops(folder)


def _naming(folder: Path, number: int, name: str) -> "Iterator[Named]":
    yield Named("qcow", _backing(folder / f"backing-{number}.qcow2", name))
    yield Named("qcow", _data_file(folder / f"data-{number}.qcow2", name))
    for kind in ("FLAT", "SPARSE"):
        path = folder / f"extent-{number}-{kind}.vmdk"
        _descriptor(path, f'RW 8192 {kind} "{name}"' + (" 0" if kind == "FLAT" else ""))
        yield Named("vmdk", path)
    path = folder / f"parent-{number}.vmdk"
    extent = path.with_suffix(".flat")
    extent.write_bytes(bytes(4 * MIB))
    parent = f'parentCID=12345678\nparentFileNameHint="{name}"'
    _descriptor(path, f'RW 8192 FLAT "{extent.name}" 0', parent)
    yield Named("vmdk", path)


def _loops(folder: Path) -> "Iterator[Named]":
    """Disks that name themselves, each other, or very many."""
    for name, other in (("self", "self"), ("one", "two"), ("two", "one")):
        yield Named("qcow", _backing(folder / f"{name}.qcow2", f"{other}.qcow2", "qcow2"))
    _descriptor(folder / "self.vmdk", 'RW 8192 SPARSE "self.vmdk"')
    yield Named("vmdk", folder / "self.vmdk")
    _descriptor(folder / "many.vmdk", 'RW 1 FLAT "self.vmdk" 0\n' * 1500)
    yield Named("vmdk", folder / "many.vmdk")
    for number in range(40):
        yield Named("qcow", _backing(folder / f"c{number}.qcow2", f"c{number + 1}.qcow2", "qcow2"))


def _backing(path: Path, name: str, form: str = "raw") -> Path:
    """A QCOW file of 4 MiB without data, with a backing file."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", path.name, "4M"], path.parent)
    data = bytearray(path.read_bytes())
    text = name.encode()
    # Its extensions begin behind the header: the format first, and nothing after it.
    (length,) = struct.unpack_from(">I", data, 100)
    word = form.encode().ljust(8, b"\0")
    struct.pack_into(">II8sQ", data, length, 0xE2792ACA, len(form), word, 0)
    data[1024 : 1024 + len(text)] = text
    struct.pack_into(">QI", data, 8, 1024, len(text))
    path.write_bytes(data)
    return path


def _data_file(path: Path, name: str) -> Path:
    """A QCOW file whose data is in another one."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", path.name, "4M"], path.parent)
    data = bytearray(path.read_bytes())
    text = name.encode()
    (length,) = struct.unpack_from(">I", data, 100)
    struct.pack_into(">Q", data, 72, 4)
    struct.pack_into(">II", data, length, 0x44415441, len(text))
    padded = text + bytes(-len(text) % 8 + 8)
    data[length + 8 : length + 8 + len(padded)] = padded
    path.write_bytes(data)
    return path


def _descriptor(path: Path, extents: str, parent: str = "parentCID=ffffffff") -> None:
    text = (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\n"
        f'{parent}\ncreateType="monolithicFlat"\n\n{extents}\n\nddb.adapterType = "ide"\n'
    )
    path.write_text(text)
