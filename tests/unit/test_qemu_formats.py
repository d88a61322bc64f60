"""Disks of every format through QEMU in its sandbox: what is read is what ``qemu-img`` reads."""

import contextlib
import csv
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qa.workload.encrypted import retried_until_measured
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source import StreamSpec
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.copying import CopySource, inspect_copied
from rbdmigrate.sources.qemu import content, process
from rbdmigrate.sources.qemu.chain import FORMATS as FORMATS_OF_QEMU
from rbdmigrate.sources.stream import Stream
from tests.unit.qemu_disks import converted, problem, read_all, source, tool

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils"),
]

#: kind in the source-spec, and the options of qemu-img that make it
FORMATS = {
    "qcow2": ("qcow", "-O qcow2"),
    "qcow2-zlib": ("qcow", "-O qcow2 -c"),
    "qcow2-zstd": ("qcow", "-O qcow2 -c -o compression_type=zstd"),
    "qcow2-extended": ("qcow", "-O qcow2 -o extended_l2=on"),
    "qcow2-data-file": ("qcow", "-O qcow2 -o data_file={folder}/data.raw"),
    "qcow2-v2": ("qcow", "-O qcow2 -o compat=0.10"),
    "qcow-v1": ("qcow", "-O qcow"),
    "vmdk": ("vmdk", "-O vmdk"),
    "vmdk-stream": ("vmdk", "-O vmdk -o subformat=streamOptimized"),
    "vmdk-flat": ("vmdk", "-O vmdk -o subformat=monolithicFlat"),
    "vmdk-split": ("vmdk", "-O vmdk -o subformat=twoGbMaxExtentSparse"),
    "vmdk-split-flat": ("vmdk", "-O vmdk -o subformat=twoGbMaxExtentFlat"),
    "vhdx": ("vhdx", "-O vhdx"),
    "vhdx-fixed": ("vhdx", "-O vhdx -o subformat=fixed"),
    "vhd": ("vpc", "-O vpc"),
    "vhd-fixed": ("vpc", "-O vpc -o subformat=fixed,force_size=on"),
    "vdi": ("vdi", "-O vdi"),
    "vdi-static": ("vdi", "-O vdi -o static=on"),
    "parallels": ("parallels", "-O parallels"),
    "raw": ("raw", "-O raw"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_is_what_qemu_img_reads(name, base, tmp_path):
    kind, options = FORMATS[name]
    path = tmp_path / f"disk.{name}"
    tool("qemu-img", "convert", "-f", "raw", *options.format(folder=tmp_path).split(), base, path)
    with source(path, kind).open(None) as disk:
        wanted = converted(path, kind)
        assert read_all(disk) == wanted
        assert disk.read(0, disk.size) == wanted
    inspection = inspect_copied(source(path, kind).spec, ImportPolicy(folders=(str(tmp_path),)))
    assert inspection.errors == ()
    assert inspection.size == len(wanted)
    assert 0 < inspection.to_copy <= len(wanted)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_over_http(name, base, tmp_path):
    kind, options = FORMATS[name]
    path = tmp_path / f"disk.{name}"
    options = options.format(folder=".").split()
    tool("qemu-img", "convert", "-f", "raw", *options, base, path.name, cwd=tmp_path)
    with WebServer(tmp_path) as server:
        stream = {"type": "http", "url": server.url(f"/{path.name}")}
        spec = parse_source_spec(json.dumps({"type": kind, "stream": stream}))
        if name in ("vmdk-flat", "vmdk-split", "vmdk-split-flat"):
            assert problem(CopySource(spec, ImportPolicy())).code == "VMDK_EXTENT"
            return
        with CopySource(spec, ImportPolicy()).open(None) as disk:
            assert read_all(disk) == converted(path, kind)


def test_the_documentation_lists_the_formats():
    table = Path(__file__).parents[2] / "doc" / "reference" / "import-formats.csv"
    with table.open(encoding="utf-8", newline="") as file:
        named = {row["format"].strip("`") for row in csv.DictReader(file)}
    assert named == {kind for kind, _ in FORMATS.values()} == {*FORMATS_OF_QEMU, "raw"}


def chain(base, tmp_path):
    """Three files, each with something of its own."""
    below, middle, top = tmp_path / "below.raw", tmp_path / "middle.qcow2", tmp_path / "top.qcow2"
    shutil.copy(base, below)
    tool("qemu-img", "create", "-f", "qcow2", "-b", "below.raw", "-F", "raw", middle)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", middle)
    tool("qemu-img", "create", "-f", "qcow2", "-b", middle, "-F", "qcow2", top)
    tool("qemu-io", "-f", "qcow2", "-c", "write -z 0 64k", "-c", "write -P 8 2M 1M", top)
    return below, middle, top


def test_a_chain_of_backing_files(base, tmp_path):
    *_, top = chain(base, tmp_path)
    with source(top, "qcow").open(None) as disk:
        assert read_all(disk) == converted(top, "qcow")


def test_each_file_of_a_chain_is_under_the_import_policy(base, tmp_path):
    below, _, top = chain(base, tmp_path)
    other = tmp_path.parent / f"{tmp_path.name}-other.raw"
    shutil.move(below, other)
    below.symlink_to(other)
    found = problem(source(top, "qcow"))
    assert found.code == "FILE_REACH"
    assert str(below) in found.message


@pytest.mark.parametrize(
    "name", ["nbd://127.0.0.1/x", "json:{}x", "http://127.0.0.1/x", "fat:/etc"]
)
def test_a_backing_file_is_never_a_protocol(name, tmp_path):
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-u", "-b", "x" * len(name), "-F", "raw", path, "1M")
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))
    assert problem(source(path, "qcow")).code == "BACKING_NAME"


def test_the_format_of_a_backing_file_is_not_guessed(base, tmp_path):
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "raw", path)
    stated = (0xE2792ACA).to_bytes(4, "big")
    assert stated in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(stated, b"none"))
    found = problem(source(path, "qcow", ["/"]))
    assert found.code == "BACKING_FORMAT"
    assert "qemu-img rebase -u -F FORMAT" in found.message


def test_a_circle_of_backing_files(tmp_path):
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-u", "-b", "disk.qcow2", "-F", "qcow2", path, "1M")
    assert problem(source(path, "qcow")).code == "BACKING_DEPTH"


def test_internal_snapshots(base, tmp_path):
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", base, path)
    tool("qemu-img", "snapshot", "-c", "a, b", path)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", path)
    made = source(path, "qcow")
    assert [s.name for s in made.snapshots()] == ["a, b"]
    with made.open("a, b") as disk:
        assert read_all(disk) == base.read_bytes()
    with made.open(None) as disk:
        assert read_all(disk) == converted(path, "qcow")


def luks(base, path):
    secret = ["--object", "secret,id=s,data=right"]
    options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
    create = ["qemu-img", "create", *secret, "-f", "qcow2", "-o", options, path, "16M"]
    retried_until_measured(lambda: tool(*create))
    to = ["--target-image-opts", f"driver=qcow2,encrypt.key-secret=s,file.filename={path}"]
    tool("qemu-img", "convert", *secret, "-n", "-f", "raw", base, *to)


def test_a_passphrase_opens_luks(base, tmp_path):
    path = tmp_path / "disk.qcow2"
    luks(base, path)
    with source(path, "qcow", passphrase="right").open(None) as disk:
        assert read_all(disk) == base.read_bytes()
    missing = problem(source(path, "qcow"))
    assert (missing.code, '"passphrase"' in missing.message) == ("PASSPHRASE_MISSING", True)
    wrong = problem(source(path, "qcow", passphrase="wrong"))
    assert wrong.code == "QEMU_REFUSED"
    assert "password" in wrong.message.lower()
    assert "wrong" not in wrong.message


def test_a_vmdk_delta_and_its_parent(base, tmp_path):
    parent, delta = tmp_path / "parent.vmdk", tmp_path / "delta.vmdk"
    tool("qemu-img", "convert", "-f", "raw", "-O", "vmdk", base, parent)
    tool("qemu-img", "create", "-f", "vmdk", "-b", "parent.vmdk", "-F", "vmdk", delta)
    tool("qemu-io", "-f", "vmdk", "-c", "write -P 7 1M 64k", delta)
    with source(delta, "vmdk").open(None) as disk:
        assert read_all(disk) == converted(delta, "vmdk")


def qcow_chain(base, folder):
    """A disk, and the two files that it needs."""
    shutil.copy(base, folder / "below.raw")
    for above, below, form in (("middle", "below.raw", "raw"), ("disk", "middle", "qcow2")):
        tool("qemu-img", "create", "-f", "qcow2", "-b", below, "-F", form, above, cwd=folder)
        tool("qemu-io", "-f", "qcow2", "-c", f"write -P 7 {len(above)}M 64k", above, cwd=folder)
    return "qcow", ("below.raw", "middle", "disk")


def old_qcow_chain(base, folder):
    """The same with version 1, whose format is not written down in it: a disk of version 3 is."""
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow", base, folder / "below")
    tool("qemu-img", "create", "-f", "qcow2", "-b", "below", "-F", "qcow", "disk", cwd=folder)
    return "qcow", ("below", "disk")


def vmdk_delta(base, folder):
    tool("qemu-img", "convert", "-f", "raw", "-O", "vmdk", base, folder / "below")
    tool("qemu-img", "create", "-f", "vmdk", "-b", "below", "-F", "vmdk", "disk", cwd=folder)
    tool("qemu-io", "-f", "vmdk", "-c", "write -P 7 1M 64k", "disk", cwd=folder)
    return "vmdk", ("below", "disk")


def data_file(base, folder):
    options = ["-o", "data_file=below"]
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, base, "disk", cwd=folder)
    return "qcow", ("below", "disk")


@pytest.mark.parametrize("made", [qcow_chain, old_qcow_chain, vmdk_delta, data_file])
@pytest.mark.parametrize("ranges", ["all", "none", "the disk", "the others"])
def test_the_files_that_a_disk_on_a_server_names(made, ranges, base, tmp_path):
    kind, files = made(base, tmp_path)
    with WebServer(tmp_path) as server:
        for file in files:
            able = ranges in ("all", "the disk" if file == "disk" else "the others")
            server.behave(f"/{file}", Behaviour(ranges=able))
        stream = {"type": "http", "url": server.url("/disk")}
        spec = parse_source_spec(json.dumps({"type": kind, "stream": stream}))
        policy = ImportPolicy(spool_min_free=0)
        assert inspect_copied(spec, policy).errors == ()
        with CopySource(spec, policy) as opened, opened.open(None) as disk:
            assert read_all(disk) == converted(tmp_path / "disk", kind)


def hostile_files(tmp_path, base):
    """Name of the case, kind, and the file."""
    disk = tmp_path / "whole.qcow2"
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", base, disk)
    good = bytearray(disk.read_bytes())
    l1 = struct.unpack(">Q", good[40:48])[0]
    outside = bytearray(good)
    outside[l1 : l1 + 8] = (1 << 63 | 1 << 50).to_bytes(8, "big")
    yield "an L2 table beyond the end", "qcow", bytes(outside)
    yield "a truncated header", "qcow", bytes(good[:60])
    sizes = bytearray(good)
    sizes[24:32] = (1 << 61).to_bytes(8, "big")
    yield "a huge disk", "qcow", bytes(sizes)
    yield "no qcow", "qcow", b"x" * 4096
    for kind in ("vmdk", "vhdx", "vpc", "vdi", "parallels"):
        path = tmp_path / f"good.{kind}"
        tool("qemu-img", "convert", "-f", "raw", "-O", kind, base, path)
        data = path.read_bytes()
        yield f"a cut {kind}", kind, data[:600]
        yield f"another format than {kind}", kind, bytes(good)
        yield f"{kind} of rubbish", kind, data[:64] + b"\xff" * 200000
    stated = b'# Disk DescriptorFile\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    yield "a descriptor of a file of the host", "vmdk", stated + b'RW 8 FLAT "/etc/hostname" 0\n'
    yield "a descriptor of a server", "vmdk", stated + b'RW 8 FLAT "nbd://127.0.0.1/x" 0\n'
    yield "a descriptor of rubbish", "vmdk", stated + b"RW 8 FLAT nothing\n"
    yield "no extents", "vmdk", stated
    sparse = bytearray(b"KDMV" + bytes(1020))
    sparse[28:44] = struct.pack("<QQ", 1, 1)
    yield "a capacity of 0", "vmdk", bytes(sparse) + stated


def test_hostile_files_get_one_sentence(base, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    for number, (name, kind, data) in enumerate(hostile_files(tmp_path, base)):
        path = folder / f"disk{number}"
        path.write_bytes(data)
        found = inspect_copied(source(path, kind).spec, ImportPolicy(folders=(str(folder),)))
        if found.errors:
            assert problem(source(path, kind)).message, name
            continue
        # Some are found where they are read.
        with source(path, kind).open(None) as disk, contextlib.suppress(SourceError):
            read_all(disk)


def test_without_qemu_it_says_what_to_install(base, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_FOLDERS", (str(tmp_path),))
    path = tmp_path / "disk.vdi"
    tool("qemu-img", "convert", "-f", "raw", "-O", "vdi", base, path)
    found = problem(source(path, "vdi"))
    assert found.code == "QEMU_MISSING"
    assert "install qemu-utils" in found.message


SANDBOX = os.path.join(os.path.dirname(process.__file__), "sandbox.py")
PROBE = """
import os, socket
def tried(act):
    try:
        act()
    except OSError as error:
        return error.errno
    return 0
print(tried(lambda: open({path!r}).read()), tried(lambda: open({given!r}).read()),
      tried(socket.socket), tried(lambda: open({path!r}, "w")), tried(lambda: os.listdir("/etc")))
"""


def test_the_sandbox(tmp_path):
    """A program in it reads what it was given, and nothing else; it makes no socket."""
    secret, given = tmp_path / "keyring", tmp_path / "given"
    secret.write_text("key")
    given.write_text("disk")
    with open(given, "rb") as file:
        settings = {
            "parent": os.getpid(),
            "memory": 1 << 30,
            "seconds": 5,
            "files": [file.fileno()],
            "listen": 0,
        }
        script = PROBE.format(path=str(secret), given=f"/proc/self/fd/{file.fileno()}")
        python = os.path.realpath("/usr/bin/python3")
        done = subprocess.run(
            [sys.executable, "-I", "-S", SANDBOX, json.dumps(settings), python, "-S", "-c", script],
            pass_fds=[file.fileno()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""
    read_other, read_given, made_socket, written, listed = map(int, done.stdout.split())
    assert read_given == 0
    assert made_socket == 1  # EPERM
    assert (read_other, written, listed) == (13, 13, 13)  # EACCES


class Slow(Stream):
    """A server that gives the header, and then nothing for a while."""

    def __init__(self, data):
        self.label, self.size, self.identity = "slow", len(data), {}
        self._data = data
        self.ended = threading.Event()

    def read_at(self, offset, length):
        if length > 512:
            self.ended.wait(2)
        return self._data[offset : offset + length]

    def close(self):
        self.ended.set()


def test_what_does_not_answer_is_given_up(base, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "_OPENING", 0.5)
    path = tmp_path / "disk.vdi"
    tool("qemu-img", "convert", "-f", "raw", "-O", "vdi", base, path)
    slow = Slow(path.read_bytes())
    with pytest.raises(SourceError) as caught:
        content.QemuContent(lambda spec: slow, StreamSpec("http", url="http://x/d"), "vdi")
    assert caught.value.problem == "QEMU_SLOW"
    assert "http://x/d" in caught.value.message


def test_a_disk_over_a_stream_that_is_served_to_qemu(base, tmp_path):
    path = tmp_path / "disk.qcow2"
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", base, path)
    stream = Slow(path.read_bytes())
    stream.ended.set()
    with content.QemuContent(
        lambda spec: stream, StreamSpec("http", url="http://x/d"), "qcow"
    ) as c:
        assert read_all(c) == base.read_bytes()
