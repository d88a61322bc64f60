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
from pathlib import Path

import pytest

from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import inspect, s3_copied
from rbdmigrate.sources.copying import CopySource, inspect_copied
from tests.unit.test_s3_source import Service

pytestmark = pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils")

TABLE = Path(__file__).parents[2] / "doc" / "reference" / "import-table.csv"
MIB = 1 << 20
STREAMS = ("file", "http", "http, no ranges", "s3", "nbd")
COLUMNS = [f"``{method}`` {stream}" for method in ("live", "copy") for stream in STREAMS]
REACH = ImportPolicy(folders=("/",))


def tool(*command, cwd=None):
    subprocess.run([str(w) for w in command], check=True, capture_output=True, timeout=60, cwd=cwd)


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


#: what it is: the type, options of qemu-img, what the stream says of its packing, and the packing
ROWS = {
    "``raw``": ("raw", "", {}, bytes),
    "``raw``, gzip": ("raw", "", {"compression": "gzip"}, gzip.compress),
    "``raw``, xz": ("raw", "", {"compression": "xz"}, lzma.compress),
    "``raw``, zstd": ("raw", "", {"compression": "zstd"}, zstd),
    "``raw``, bzip2": ("raw", "", {"compression": "bzip2"}, bz2.compress),
    "``raw`` in an archive": ("raw", "", {"member": "disk"}, in_archive),
    "``raw`` in an archive, gzip": (
        "raw",
        "",
        {"member": "disk", "compression": "gzip"},
        lambda data: gzip.compress(in_archive(data)),
    ),
    "``qcow``, plain": ("qcow", "-O qcow2", {}, bytes),
    "``qcow``, compressed clusters": ("qcow", "-O qcow2 -c", {}, bytes),
    "``qcow`` in an archive": ("qcow", "-O qcow2", {"member": "disk"}, in_archive),
    "``qcow``, gzip": ("qcow", "-O qcow2", {"compression": "gzip"}, gzip.compress),
    "``qcow``, xz": ("qcow", "-O qcow2 -c", {"compression": "xz"}, lzma.compress),
    "``vmdk``, one file": ("vmdk", "-O vmdk -o subformat=streamOptimized", {}, bytes),
    "``vmdk``, several files": ("vmdk", "-O vmdk -o subformat=twoGbMaxExtentSparse", {}, bytes),
    "``vmdk``, zstd": ("vmdk", "-O vmdk", {"compression": "zstd"}, zstd),
    "``vmdk`` in an OVA": (
        "vmdk",
        "-O vmdk -o subformat=streamOptimized",
        {"member": "disk"},
        in_archive,
    ),
    "``vmdk`` in an OVA, bzip2": (
        "vmdk",
        "-O vmdk -o subformat=streamOptimized",
        {"member": "disk", "compression": "bzip2"},
        lambda data: bz2.compress(in_archive(data)),
    ),
    "``vhdx``": ("vhdx", "-O vhdx", {}, bytes),
    "``vhdx``, gzip": ("vhdx", "-O vhdx", {"compression": "gzip"}, gzip.compress),
    "``vpc``": ("vpc", "-O vpc -o force_size=on", {}, bytes),
    "``vpc``, xz": ("vpc", "-O vpc -o force_size=on", {"compression": "xz"}, lzma.compress),
    "``vdi``": ("vdi", "-O vdi", {}, bytes),
    "``parallels``": ("parallels", "-O parallels", {}, bytes),
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


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "base.raw"
    with open(path, "wb") as file:
        for number in range(0, 6, 2):
            file.seek(number * MIB)
            file.write(bytes(range(1, 256)) * 1000 + bytes(65536) + bytes([number + 1]) * 65536)
        file.truncate(8 * MIB)
    return path


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


def views_of(made, kind, folder):
    """What ``qemu-img convert`` makes of a disk; one of QCOW gets an internal snapshot first."""
    driver, wanted = {"qcow": "qcow2"}.get(kind, kind), {}
    convert = ["qemu-img", "convert", "-f", driver, "-O", "raw"]
    if kind == "qcow":
        tool("qemu-img", "snapshot", "-c", "one", made)
        tool("qemu-io", "-f", driver, "-c", "write -P 9 1M 200k", "-c", "write -P 8 6M 64k", made)
        tool(*convert, "-l", "snapshot.name=one", made, folder / "raw", cwd=folder)
        wanted["one"] = (folder / "raw").read_bytes()
    tool(*convert, made, folder / "raw", cwd=folder)
    wanted[None] = (folder / "raw").read_bytes()
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
    service.objects = {"/b/disk": path.read_bytes()}
    keys = {"access_key": "ACCESS", "secret_key": "SECRET"}
    yield "s3", {"type": "s3", "url": f"http://127.0.0.1:{service.port}/b/disk", **keys}
    yield "nbd", {"type": "nbd", "uri": uri}


def row_of(name, base, folder, service):
    kind, options, fields, pack = ROWS[name]
    made, path = folder / "made", folder / "disk"
    if options:
        tool("qemu-img", "convert", "-f", "raw", *options.split(), base, made, cwd=folder)
        wanted = views_of(made, kind, folder)
    else:
        made.write_bytes(base.read_bytes())
        wanted = {None: base.read_bytes()}
    path.write_bytes(pack(made.read_bytes()))
    if "compression" in fields and kind == "raw" and "member" not in fields:
        fields = {**fields, "size": len(wanted[None])}
    found = {}
    with WebServer(folder) as server, exported(path) as uri:
        for stream, place in streams_of(folder, path, server, service, uri):
            plain = {"type": kind, "stream": {**place, **fields}}
            for method in ("live", "copy"):
                found[f"``{method}`` {stream}"] = outcome(plain, method, wanted)
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
