"""Kinds of sources with a fault: damaged files, wrong files, and servers that misbehave."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qa.workload.sources import MIB

from .disk import Disk, Maker, Views, as_qemu_reads
from .refused import change_header

# Fields of the header of versions 2 and 3: offset, bytes, values that are tried.
FIELDS: "tuple[tuple[int, int, tuple[int, ...]], ...]" = (
    (0, 4, (0, 0x514649FA)),  # magic
    (4, 4, (0, 1, 2, 4, 1 << 31)),  # version
    (8, 8, (1, 512, 1 << 40)),  # backing file: offset
    (16, 4, (1, 1024, (1 << 32) - 1)),  # backing file: length
    (20, 4, (0, 8, 9, 21, 22, 63, (1 << 32) - 1)),  # bits of a cluster's size
    (24, 8, (0, 512, 1 << 40, 1 << 62, (1 << 64) - 512)),  # size
    (32, 4, (2, 3)),  # encryption: LUKS without its header, unknown
    (36, 4, (0, 1, 1 << 20, (1 << 32) - 1)),  # entries of the L1 table
    (40, 8, (0, 8, 512, 1 << 40, (1 << 64) - 65536)),  # L1 table
    (60, 4, (1, 1 << 16, (1 << 32) - 1)),  # number of snapshots
    (72, 8, (1, 2, 4, 8, 16, 32, 1 << 40)),  # incompatible features
    (96, 4, (0, 7, 64, 255)),  # bits of a reference count
    (100, 4, (0, 72, 103, 105, 1 << 20, (1 << 32) - 1)),  # length of the header
)
TABLE_ENTRIES = (  # added to an entry of a table, or in place of it
    1, 8, 0x1FE, 1 << 56, 1 << 57, 1 << 61, 1 << 62,
)  # fmt: skip


def _damaged(maker: Maker, path: Path, form: str, views: Views) -> Disk:
    """Return a damaged QCOW file: what QEMU reads is right, or else what was written to it."""
    content = as_qemu_reads(path, form)
    right = views if content is None else {"": content}
    return maker.disk("qcow", path, right, faulty=True)


def _cut_off(maker: Maker) -> Disk:
    kind, form = maker.chance.choice([("qcow1", "qcow"), ("qcow2", "qcow2"), ("qcow3", "qcow2")])
    path, views = maker.qcow(kind)
    whole = path.stat().st_size
    os.truncate(path, maker.chance.choice([0, 3, 40, 100, maker.chance.randrange(whole)]))
    return _damaged(maker, path, form, views)


def _header(maker: Maker) -> Disk:
    path, views = maker.qcow("qcow3", "cluster_size=4k")
    offset, length, values = maker.chance.choice(FIELDS)
    change_header(path, offset, maker.chance.choice(values).to_bytes(length, "big"))
    return _damaged(maker, path, "qcow2", views)


def _table(maker: Maker) -> Disk:
    """One entry of the L1 table or of an L2 table is changed."""
    path, views = maker.qcow("qcow3", "cluster_size=4k")
    data = path.read_bytes()
    (l1,) = struct.unpack_from(">Q", data, 40)
    (entry,) = struct.unpack_from(">Q", data, l1)
    table = maker.chance.choice([l1, entry & 0x00FFFFFFFFFFFE00])
    at = table if table == l1 else table + 8 * maker.chance.randrange(16)
    (entry,) = struct.unpack_from(">Q", data, at)
    bit = maker.chance.choice(TABLE_ENTRIES)
    changed = maker.chance.choice(
        [entry | bit, bit, entry + (1 << 40), maker.chance.getrandbits(64)]
    )
    change_header(path, at, struct.pack(">Q", changed))
    return _damaged(maker, path, "qcow2", views)


def _version_1(maker: Maker) -> Disk:
    """Bytes of the header of version 1, or of the beginning of its L1 table, are changed."""
    path, views = maker.qcow("qcow1")
    for _ in range(maker.chance.choice([1, 2])):
        change_header(path, maker.chance.randrange(8, 64), maker.chance.randbytes(1))
    if int.from_bytes(path.read_bytes()[24:32], "big") > 64 * MIB:
        return maker.disk("qcow", path, views, faulty=True)  # QEMU would write all of it
    return _damaged(maker, path, "qcow", views)


def _no_disk(maker: Maker) -> Disk:
    """A file that is missing, of another kind, or not where files may be imported from."""
    path = maker.folder / "disk.qcow2"
    what = maker.chance.choice(["missing", "folder", "fifo", "link", "text", "random"])
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to("/etc/hostname")
    elif what != "missing":
        path.write_bytes(b"no disk\n" if what == "text" else maker.chance.randbytes(MIB))
    stream = {"type": "file", "file_path": str(path)}
    return Disk({"type": "qcow", "stream": stream}, {"": b""}, faulty=True)


def _server(maker: Maker) -> Disk:
    """A server that does not answer as librbd needs it."""
    path, content = maker.raw()
    behaviours: tuple[dict[str, Any], ...] = (
        {"ranges": False},
        {"ranges": "none"},
        {"ranges": "wrong"},
        {"head": False},
        {"length": None},
        {"length": "5"},
        {"length": str(len(content) + 512)},
        {"status": 404},
        {"status": 403},
        {"get_status": 500},
        {"encoding": "gzip"},
        {"headers": 20000},
        {"http10": True},
    )
    spec = {"type": "raw", "stream": maker.http(path, **maker.chance.choice(behaviours))}
    return Disk(spec, {"": content}, faulty=True)


def _redirect(maker: Maker) -> Disk:
    """A redirect to another URL, to one that needs its query, or to nowhere."""
    path, content = maker.raw()
    other = path.with_name("other.raw")
    kind = maker.chance.choice(["plain", "plain", "query", "signed", "gone"])
    if kind != "gone":
        other.write_bytes(content)
    url = maker.http(other)["url"]
    if kind == "query":
        url += "?from=here"
    elif kind == "signed":
        maker.http(other, status=403)
        url += "?Signature=abc&Expires=4000000000"
    behaviour = {"location": url, "status": maker.chance.choice([301, 302, 303, 307, 308])}
    spec = {"type": "raw", "stream": maker.http(path, **behaviour)}
    return Disk(spec, {"": content}, faulty=kind == "gone")


def _odd_server(maker: Maker) -> Disk:
    """A server that keeps to the protocol, but not to what most servers do."""
    path, content = maker.raw()
    behaviour: dict[str, Any] = maker.chance.choice(
        [{"etag": None}, {"etag": "changing"}, {"close": "told"}, {"close": "silently"}]
    )
    return Disk({"type": "raw", "stream": maker.http(path, **behaviour)}, {"": content})


FAULTS: "dict[str, Callable[[Maker], Disk]]" = {
    "qcow, cut off": _cut_off,
    "qcow2, header changed": _header,
    "qcow2, table changed": _table,
    "qcow 1, changed": _version_1,
    "no disk": _no_disk,
    "http, faulty server": _server,
    "http, redirect": _redirect,
    "http, odd server": _odd_server,
}
