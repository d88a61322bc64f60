"""The table of what can be imported, by format, stream and method: each cell is tried.

With ``RBDMIGRATE_WRITE_TABLE=1`` in the environment the table is written again.
"""

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import shutil
import socket
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import pytest

from qa.workload import esx_disks
from qa.workload.encrypted import retried_until_measured
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import inspect, s3_copied
from rbdmigrate.sources.copying import CopySource, inspect_copied
from tests.unit.test_s3_source import Service

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils"),
]

TABLE = Path(__file__).parents[2] / "doc" / "reference" / "import-table.csv"
MIB = 1 << 20
STREAMS = ("file", "http", "http, no ranges", "s3", "nbd")
COLUMNS = [f"``{method}`` {stream}" for method in ("live", "copy") for stream in STREAMS]
REACH = ImportPolicy(folders=("/",), spool_min_free=0)
PASSPHRASE = "hush"


def tool(*command, cwd=None):
    subprocess.run([str(w) for w in command], check=True, capture_output=True, timeout=60, cwd=cwd)


def shell(command, folder):
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=60, cwd=folder)


def zstd(data):
    done = subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True, timeout=60)
    return done.stdout


def in_archive(data):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("disk.ovf", b"<Envelope/>"), ("disk", data)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@dataclass(frozen=True)
class Row:
    """A disk: its type, options of qemu-img, what the stream says of its packing, and the packing.

    ``before`` makes a file that it names, ``after`` changes it. ``write`` writes what qemu-img does
    not. ``secret``: its passphrase.
    """

    kind: str
    options: str = ""
    fields: "dict[str, str]" = field(default_factory=dict)
    pack: "Callable[[bytes], bytes]" = bytes
    before: str = ""
    after: str = ""
    write: "Callable[[Path, bytes], None]" = lambda made, content: None
    snapshots: bool = False
    secret: str = ""


def vmfs_sparse(made, content):
    esx_disks.vmfs_sparse(made.with_name("made-delta.vmdk"), content)
    esx_disks.describe(made, "vmfsSparse", made.with_name("made-delta.vmdk"), content)


def se_sparse_delta(made, content):
    """A snapshot of ESX: what was written since, and the flat file of before."""
    parent = made.with_name("made-flat.vmdk")
    parent.write_bytes(content)
    esx_disks.describe(made.with_name("first.vmdk"), "vmfs", parent, content)
    own = bytearray(len(content))
    own[: 2 * MIB] = bytes([9]) * 2 * MIB
    data = made.with_name("made-sesparse.vmdk")
    esx_disks.se_sparse(data, own, zeroed=(512, 513, 1030))  # from 2 MiB on
    esx_disks.describe(made, "seSparse", data, content, "first.vmdk")


_LUKS = f"-O qcow2 --object secret,id=s,data={PASSPHRASE} -o encrypt.format=luks"
_STREAM = "-O vmdk -o subformat=streamOptimized"
ROWS = {
    "``raw``": Row("raw"),
    "``raw``, gzip": Row("raw", "", {"compression": "gzip"}, gzip.compress),
    "``raw``, xz": Row("raw", "", {"compression": "xz"}, lzma.compress),
    "``raw``, zstd": Row("raw", "", {"compression": "zstd"}, zstd),
    "``raw``, bzip2": Row("raw", "", {"compression": "bzip2"}, bz2.compress),
    "``raw`` in an archive": Row("raw", "", {"member": "disk"}, in_archive),
    "``raw`` in an archive, gzip": Row(
        "raw",
        "",
        {"member": "disk", "compression": "gzip"},
        lambda data: gzip.compress(in_archive(data)),
    ),
    "``qcow``, version 1": Row("qcow", "-O qcow"),
    "``qcow``, version 2": Row("qcow", "-O qcow2 -o compat=0.10", snapshots=True),
    "``qcow``, version 3": Row("qcow", "-O qcow2", snapshots=True),
    "``qcow``, bitmaps": Row(
        "qcow", "-O qcow2", after="qemu-img bitmap --add --enable made one", snapshots=True
    ),
    "``qcow``, compressed clusters": Row("qcow", "-O qcow2 -c", snapshots=True),
    "``qcow``, compressed clusters (zstd)": Row(
        "qcow", "-O qcow2 -c -o compression_type=zstd", snapshots=True
    ),
    "``qcow``, extended L2 entries": Row("qcow", "-O qcow2 -o extended_l2=on", snapshots=True),
    "``qcow``, zeroed clusters": Row(
        "qcow", "-O qcow2", after="qemu-io -f qcow2 -c 'write -z 0 128k' made", snapshots=True
    ),
    "``qcow``, external data file": Row("qcow", "-O qcow2 -o data_file=made.data"),
    "``qcow``, backing files": Row(
        "qcow",
        "-O qcow2 -B middle.qcow2 -F qcow2",
        before="qemu-img convert -f raw -O qcow2 -c {base} first.qcow2 && "
        "qemu-img create -q -f qcow2 -F qcow2 -b first.qcow2 middle.qcow2 && "
        "qemu-io -f qcow2 -c 'write -P 7 3M 100k' middle.qcow2",
        after="qemu-io -f qcow2 -c 'write -P 6 5M 100k' made",
        snapshots=True,
    ),
    "``qcow``, encrypted": Row("qcow", _LUKS, secret=PASSPHRASE),
    "``qcow`` in an archive": Row("qcow", "-O qcow2", {"member": "disk"}, in_archive),
    "``qcow``, gzip": Row(
        "qcow", "-O qcow2", {"compression": "gzip"}, gzip.compress, snapshots=True
    ),
    "``qcow``, xz": Row("qcow", "-O qcow2 -c", {"compression": "xz"}, lzma.compress),
    "``vmdk``, one file": Row("vmdk", "-O vmdk"),
    "``vmdk``, streamOptimized": Row("vmdk", _STREAM),
    "``vmdk``, several files": Row("vmdk", "-O vmdk -o subformat=twoGbMaxExtentSparse"),
    "``vmdk``, a flat file": Row("vmdk", "-O vmdk -o subformat=monolithicFlat"),
    "``vmdk``, a delta": Row(
        "vmdk",
        before="qemu-img convert -f raw -O vmdk {base} first.vmdk",
        after="qemu-img create -q -f vmdk -F vmdk -b first.vmdk made && "
        "qemu-io -f vmdk -c 'write -P 6 5M 100k' made",
    ),
    "``vmdk``, vmfsSparse": Row("vmdk", write=vmfs_sparse),
    "``vmdk``, a delta of ESX, seSparse": Row("vmdk", write=se_sparse_delta),
    "``vmdk``, zstd": Row("vmdk", "-O vmdk", {"compression": "zstd"}, zstd),
    "``vmdk`` in an OVA": Row("vmdk", _STREAM, {"member": "disk"}, in_archive),
    "``vmdk`` in an OVA, bzip2": Row(
        "vmdk",
        _STREAM,
        {"member": "disk", "compression": "bzip2"},
        lambda data: bz2.compress(in_archive(data)),
    ),
    "``vhdx``": Row("vhdx", "-O vhdx"),
    "``vhdx``, fixed": Row("vhdx", "-O vhdx -o subformat=fixed"),
    "``vhdx``, gzip": Row("vhdx", "-O vhdx", {"compression": "gzip"}, gzip.compress),
    "``vpc``": Row("vpc", "-O vpc -o force_size=on"),
    "``vpc``, fixed": Row("vpc", "-O vpc -o force_size=on,subformat=fixed"),
    "``vpc``, xz": Row("vpc", "-O vpc -o force_size=on", {"compression": "xz"}, lzma.compress),
    "``vdi``": Row("vdi", "-O vdi"),
    "``vdi``, static": Row("vdi", "-O vdi -o static=on"),
    "``parallels``": Row("parallels", "-O parallels"),
}


@contextlib.contextmanager
def exported(path):
    """An NBD server for the bytes of a file; gives its URI."""
    address = path.with_name("nbd.sock")
    command = ["qemu-nbd", "-r", "-t", "--shared", "8", "-f", "raw", "-k", str(address)]
    server = subprocess.Popen([*command, str(path)])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(address))
                break
            time.sleep(0.05)
        yield f"nbd+unix:///?socket={address}"
    finally:
        server.kill()
        server.wait()


def base_disk(path):
    """Make the raw disk from which those of the rows are made."""
    with open(path, "wb") as file:
        for number in range(0, 6, 2):
            file.seek(number * MIB)
            file.write(bytes(range(1, 256)) * 1000 + bytes(65536) + bytes([number + 1]) * 65536)
        file.truncate(8 * MIB)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_disk(tmp_path_factory.mktemp("table") / "base.raw")


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(s3_copied, "_signers", lambda: None)  # the double knows that of librbd
    made = Service()
    yield made
    made.stop()


def outcome(plain, method, wanted):
    """``yes``, the code of the finding, or ``no``: the source-spec is refused before a look.

    ``wanted``: what ``qemu-img convert`` makes of each view; None is the head.
    """
    try:
        spec = parse_source_spec(json.dumps(plain))
    except MigrationError:
        return "no"
    if method == "live":
        if not spec.read_by_librbd:
            return "no"
        errors = inspect(spec, REACH).errors
        return f"``{errors[0].code}``" if errors else "yes"
    errors = inspect_copied(spec, REACH).errors
    if errors:
        return f"``{errors[0].code}``"
    with CopySource(spec, REACH) as source:
        views = [*(snapshot.name for snapshot in source.snapshots()), None]
        assert {view: read(source, view) for view in views} == wanted
    return "yes"


def read(source, view):
    with source.open(view, summed=True) as disk:
        found = bytearray(disk.size)
        for offset, length in disk.extents(0, disk.size):
            for at in range(offset, offset + length, MIB):
                part = disk.read(at, min(MIB, offset + length - at))
                found[at : at + len(part)] = part
        disk.finish()
    return bytes(found)


def views_of(made, row, folder):
    """What ``qemu-img convert`` makes of a disk; it gets an internal snapshot first if it can."""
    driver, wanted = row.kind, {}
    if row.kind == "qcow":
        driver = "qcow" if row.options == "-O qcow" else "qcow2"
    convert = ["qemu-img", "convert", "-f", driver, "-O", "raw", made, folder / "raw"]
    if row.secret:
        secret = f"secret,id=s,data={row.secret}"
        options = f"driver=qcow2,encrypt.key-secret=s,file.filename={made}"
        convert[2:6] = ["--object", secret, "--image-opts", "-O", "raw"]
        convert[-2] = options
    if row.snapshots:
        tool("qemu-img", "snapshot", "-c", "one", made)
        tool("qemu-io", "-f", driver, "-c", "write -P 9 1M 200k", "-c", "write -P 8 6M 64k", made)
        tool(*convert[:2], "-l", "snapshot.name=one", *convert[2:], cwd=folder)
        wanted["one"] = (folder / "raw").read_bytes()
    tool(*convert, cwd=folder)
    wanted[None] = (folder / "raw").read_bytes()
    (folder / "raw").unlink()
    assert len(set(wanted.values())) == len(wanted)
    return wanted


def streams_of(folder, path, server, service, uri):
    server.behave(f"/{path.name}", Behaviour())
    yield "file", {"type": "file", "file_path": str(path)}
    yield "http", {"type": "http", "url": server.url(f"/{path.name}")}
    link = folder / f"all-{path.name}"
    link.symlink_to(path)
    server.behave(f"/{link.name}", Behaviour(ranges=False))
    yield "http, no ranges", {"type": "http", "url": server.url(f"/{link.name}")}
    files = (file for file in folder.iterdir() if file.is_file())
    service.objects = {f"/b/{file.name}": file.read_bytes() for file in files}
    keys = {"access_key": "ACCESS", "secret_key": "SECRET"}
    yield "s3", {"type": "s3", "url": f"http://127.0.0.1:{service.port}/b/disk", **keys}
    yield "nbd", {"type": "nbd", "uri": uri}


def make(row, base, folder):
    """Make a disk in the folder; what ``qemu-img convert`` makes of each view."""
    made = folder / "made"
    if row.before:
        shell(row.before.format(base=base), folder)
    if row.options:
        convert = ["qemu-img", "convert", "-f", "raw", *row.options.split(), base, "made"]
        if row.secret:
            convert[-2:-2] = ["-o", "encrypt.key-secret=s,encrypt.iter-time=10"]
        retried_until_measured(lambda: tool(*convert, cwd=folder))
    elif row.kind == "raw":
        made.write_bytes(base.read_bytes())
    row.write(made, base.read_bytes())
    if row.after:
        shell(row.after, folder)
    return views_of(made, row, folder) if row.kind != "raw" else {None: base.read_bytes()}


def packed(row, base, folder):
    """Make a disk as it is imported; its file, what it holds, and what its stream says of it."""
    wanted, path = make(row, base, folder), folder / "disk"
    path.write_bytes(row.pack((folder / "made").read_bytes()))
    fields = row.fields
    if "compression" in fields and row.kind == "raw" and "member" not in fields:
        fields = {**fields, "size": len(wanted[None])}
    return path, wanted, fields


def row_of(name, base, folder, service):
    row = ROWS[name]
    path, wanted, fields = packed(row, base, folder)
    found = {}
    secret = {"passphrase": row.secret} if row.secret else {}
    with WebServer(folder) as server, exported(path) as uri:
        for stream, place in streams_of(folder, path, server, service, uri):
            plain = {"type": row.kind, "stream": {**place, **fields}}
            found[f"``live`` {stream}"] = outcome(plain, "live", wanted)
            found[f"``copy`` {stream}"] = outcome({**plain, **secret}, "copy", wanted)
    return [name, *(found[column] for column in COLUMNS)]


@pytest.mark.parametrize("name", ROWS)
def test_each_cell_is_what_happens(name, base, tmp_path, service):
    row = row_of(name, base, tmp_path, service)
    if os.environ.get("RBDMIGRATE_WRITE_TABLE"):
        with TABLE.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        return
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = {written[0]: written for written in csv.reader(file)}
    assert row == rows[name]


def test_the_table_has_these_rows_and_columns():
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["", *COLUMNS]
    assert [row[0] for row in rows[1:]] == list(ROWS)
