"""Disks that come in one order and are read in any: put into a file that leaves nothing behind."""

import gzip
import hashlib
import io
import json
import lzma
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tracemalloc
from dataclasses import replace
from errno import EACCES, EBADMSG, EINVAL, ENOSPC
from pathlib import Path

import pytest

from qa.hostile.judge import one_sentence
from qa.hostile.trial import Bench
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError, copying, spool
from rbdmigrate.sources.content import Content
from rbdmigrate.sources.copying import CopySource, identify_copied, inspect_copied

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils"),
]

MIB = 1 << 20
REPOSITORY = Path(__file__).parents[2]


def convert(raw, path, *options):
    command = ["qemu-img", "convert", "-f", "raw", *options, str(raw), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    path = tmp_path_factory.mktemp("spool") / "base.raw"
    with path.open("wb") as file:
        for number in range(6):
            file.seek(number * 2 * MIB)
            file.write(hashlib.sha256(bytes([number])).digest() * 10_000)
        file.truncate(16 * MIB)
    return path


@pytest.fixture
def folder(tmp_path):
    """Where files are put, and nothing is left."""
    folder = tmp_path / "folder"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def source(stream, folder, kind="qcow", **policy):
    spec = parse_source_spec(json.dumps({"type": kind, "stream": stream}))
    return CopySource(
        spec, ImportPolicy(folders=("/",), spool_folder=str(folder), spool_min_free=0, **policy)
    )


def of_file(path, folder, kind="qcow", **fields):
    return source({"type": "file", "file_path": str(path), **fields}, folder, kind)


def look(made):
    return inspect_copied(made.spec, made.policy)


def read_all(made):
    with made, made.open(None) as disk:
        found = bytearray(disk.size)
        for offset, length in disk.extents(0, disk.size):
            found[offset : offset + length] = disk.read(offset, length)
        return bytes(found)


def refused(made):
    (error,) = look(made).errors
    assert error.message.endswith(".")
    with pytest.raises(SourceError) as caught:
        read_all(made)
    return error, caught.value


@pytest.fixture
def packed(raw, tmp_path):
    disk = convert(raw, tmp_path / "disk.qcow2", "-O", "qcow2")
    path = tmp_path / "disk.qcow2.gz"
    path.write_bytes(gzip.compress(disk.read_bytes(), 1))
    disk.unlink()
    return path


def test_the_look_tells_it_and_the_disk_is_right(packed, raw, folder):
    made = of_file(packed, folder, compression="gzip")
    found = look(made)
    assert [f.code for f in found.findings] == ["SOURCE_SPOOLED"]
    assert (found.size, found.to_copy) == (16 * MIB, sum(len_of(made)))
    assert found.identity == identify_copied(made)
    assert found.identity["stream"]["size"] == str(packed.stat().st_size)
    assert read_all(made) == raw.read_bytes()


def len_of(made):
    with made, made.open(None) as disk:
        return [length for _, length in disk.extents(0, disk.size)]


def test_a_disk_is_taken_once_for_all_its_views(raw, tmp_path, folder):
    disk = convert(raw, tmp_path / "disk", "-O", "qcow2")
    for number in range(3):
        write = ["qemu-io", "-f", "qcow2", "-c", f"write -P {number + 1} 0 1M", str(disk)]
        subprocess.run(write, check=True, capture_output=True, timeout=60)
        snapshot = ["qemu-img", "snapshot", "-c", f"s{number}", str(disk)]
        subprocess.run(snapshot, check=True, timeout=60)
    with WebServer(tmp_path) as server:
        server.behave("/disk", Behaviour(ranges=False))
        made = source({"type": "http", "url": server.url("/disk")}, folder)
        assert [s.name for s in look(made).snapshots] == ["s0", "s1", "s2"]
        before = len(server.requests)
        with made:
            for number, snapshot in enumerate(made.snapshots()):
                with made.open(snapshot.name) as view:
                    assert view.read(0, MIB) == bytes([number + 1]) * MIB
        assert len([r for r in server.requests[before:] if r.method == "GET"]) <= 2


def test_an_ova_that_is_compressed(raw, tmp_path, folder):
    disk = convert(raw, tmp_path / "disk", "-O", "vmdk", "-o", "subformat=streamOptimized")
    path, made = tmp_path / "web.ova.xz", io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(disk, "web-disk1.vmdk")
    path.write_bytes(lzma.compress(made.getvalue(), preset=0))
    ova = of_file(path, folder, "vmdk", compression="xz", member="web-disk1.vmdk")
    assert (look(ova).errors, look(ova).size) == ((), 16 * MIB)
    assert read_all(ova) == raw.read_bytes()


KILLED = """
import json, sys, time
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources.copying import CopySource
spec = parse_source_spec(sys.argv[1])
made = CopySource(spec, ImportPolicy(folders=("/",), spool_folder=sys.argv[2], spool_min_free=0))
disk = made.open(None)
print(disk.size, flush=True)
time.sleep(600)
"""


def test_nothing_is_left_behind_after_kill_9(packed, folder):
    made = of_file(packed, folder, compression="gzip")
    command = [sys.executable, "-c", KILLED, made.spec.to_json(), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout.readline() == b"%d\n" % (16 * MIB)
            held = {os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
            assert any(name.startswith(str(folder)) for name in held)  # it is there, without a name
            assert list(folder.iterdir()) == []
        finally:
            process.send_signal(signal.SIGKILL)


def test_the_space_is_given_back(packed, folder):
    made = of_file(packed, folder, compression="gzip")
    with made, made.open(None):
        assert held_in(folder)
    assert not held_in(folder)
    error = of_file(packed, folder, compression="xz")
    with pytest.raises(SourceError):
        read_all(error)
    assert not held_in(folder)


def held_in(folder):
    names = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            names.append(os.readlink(link))
        except FileNotFoundError:  # of the listing itself
            continue
    return [name for name in names if name.startswith(str(folder))]


def test_no_more_than_is_allowed(packed, folder, raw):
    made = of_file(packed, folder, compression="gzip")
    small = replace(made, policy=replace(made.policy, spool_size=MIB))
    error, caught = refused(small)
    assert (error.code, error.errno, caught.errno) == ("SPOOL_FULL", ENOSPC, ENOSPC)
    assert "more than 1 MiB (import_spool_size)" in error.message
    subprocess.run(error.remedy, shell=True, check=True, timeout=60)  # and it works when followed
    assert read_all(of_file(packed.with_suffix(""), folder)) == raw.read_bytes()


def test_a_monitor_on_the_same_file_system_keeps_its_space(packed, folder):
    made = of_file(packed, folder, compression="gzip")
    error, caught = refused(replace(made, policy=replace(made.policy, spool_min_free=100)))
    assert (error.code, caught.problem) == ("SPOOL_FULL", "SPOOL_FULL")
    assert f"less than 100 % of {folder} free (import_spool_min_free)" in error.message


@pytest.mark.parametrize("folder", ["/dev/shm", "/nowhere", "/proc"])
def test_where_no_such_file_can_be(folder, packed):
    error, caught = refused(of_file(packed, folder, compression="gzip"))
    assert (error.code, caught.problem) == ("SPOOL_FOLDER", "SPOOL_FOLDER")
    assert ("it is in memory" in error.message) == (folder == "/dev/shm")
    assert "import_spool_folder" in error.message
    assert caught.errno != 0
    assert folder != "/dev/shm" or caught.errno == EACCES


def test_memory_does_not_grow_with_the_disk(tmp_path, folder):
    path = tmp_path / "disk.raw.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(64):
            file.write(hashlib.sha256(bytes([number])).digest() * (MIB // 32))
    made = of_file(path, folder, "parallels", compression="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(SourceError):  # it is none, which shows when it is there
            read_all(made)
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


def test_the_checksum_is_compared_before_anything_is_copied(packed, raw, folder):
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    right = of_file(packed, folder, compression="gzip", checksum=f"sha256:{digest}")
    assert read_all(right) == raw.read_bytes()
    assert [f.code for f in look(right).findings] == ["SOURCE_SPOOLED"]
    wrong = of_file(packed, folder, compression="gzip", checksum=f"sha256:{digest[::-1]}")
    error, caught = refused(wrong)
    assert (error.code, caught.errno) == ("CHECKSUM_OTHER", EBADMSG)


def test_a_size_that_is_said_is_compared(packed, raw, folder):
    right = of_file(packed, folder, compression="gzip", size=16 * MIB)
    assert read_all(right) == raw.read_bytes()
    error, caught = refused(of_file(packed, folder, compression="gzip", size=MIB))
    assert (error.code, error.errno, caught.problem) == ("STREAM_SIZE", EINVAL, "STREAM_SIZE")


def test_what_it_names_is_not_followed(tmp_path, raw, folder):
    shutil.copy(raw, tmp_path / "base.raw")
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", "top.qcow2"]
    subprocess.run(create, check=True, cwd=tmp_path, timeout=60)
    path = tmp_path / "top.qcow2.gz"
    path.write_bytes(gzip.compress((tmp_path / "top.qcow2").read_bytes()))
    error, _ = refused(of_file(path, folder, compression="gzip"))
    assert (error.code, error.remedy) == ("BACKING_NAME", f"gunzip {path}")


# -- a look at what is too long for one -------------------------------------------------------

LONG = {
    "qcow": ("-O", "qcow2"),
    "vmdk": ("-O", "vmdk"),
    "vmdk, its table at its end": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
    "vhdx": ("-O", "vhdx"),
    "vpc": ("-O", "vpc", "-o", "force_size=on"),
    "vdi": ("-O", "vdi"),
    "parallels": ("-O", "parallels"),
}


@pytest.mark.parametrize("name", LONG)
def test_the_beginning_of_a_long_file_tells_the_size(name, raw, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(spool, "_LOOKED_AT", 5 * MIB)
    monkeypatch.setattr(spool, "BLOCK", MIB)
    kind = name.partition(",")[0]
    incompressible = tmp_path / "random.raw"
    incompressible.write_bytes(os.urandom(12 * MIB))
    path = tmp_path / "disk.gz"
    disk = convert(incompressible, tmp_path / "disk", *LONG[name])
    path.write_bytes(gzip.compress(disk.read_bytes(), 1))
    made = of_file(path, folder, kind, compression="gzip")
    found = look(made)
    assert [f.code for f in found.findings] == ["SOURCE_SPOOLED"]
    assert (found.size, found.to_copy) == (12 * MIB, None)
    assert read_all(made) == incompressible.read_bytes()


def test_what_is_further_back_is_asked_for(raw, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(spool, "_LOOKED_AT", MIB)
    monkeypatch.setattr(spool, "BLOCK", MIB)
    fixed = convert(raw, tmp_path / "fixed", "-O", "vpc", "-o", "subformat=fixed,force_size=on")
    snapshots = convert(raw, tmp_path / "snapshots", "-O", "qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "s", str(snapshots)], check=True, timeout=60)
    for path, kind in ((fixed, "vpc"), (snapshots, "qcow")):
        packed = path.with_suffix(".gz")
        packed.write_bytes(gzip.compress(path.read_bytes(), 1))
        (error,) = look(of_file(packed, folder, kind, compression="gzip")).errors
        assert (error.code, error.errno) == ("SPOOL_PARTLY", ENOSPC)
        path.unlink()
        subprocess.run(f"gunzip {packed}", shell=True, check=True, timeout=60)
        assert look(of_file(path, folder, kind)).errors == ()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("hostile"))


def ends(made):
    """The disk, or the code of the sentence with which it ended."""
    found = look(made)
    assert all(one_sentence(finding.message) for finding in found.findings)
    if found.errors or found.size > 64 * MIB:
        return found.errors[0].code if found.errors else "long"
    try:
        return hashlib.sha256(read_all(made)).hexdigest()
    except SourceError as error:
        return error.problem if one_sentence(error.message) else error.message


@pytest.mark.parametrize("seed", range(13, 26))
def test_a_hostile_file_that_is_compressed_ends_as_it_does_by_itself(seed, hostile, folder):
    (file,) = hostile.fuzzed([seed])
    packed = file.path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(file.path.read_bytes(), 1))
    plain = ends(of_file(file.path, folder, file.type))
    compressed = ends(of_file(packed, folder, file.type, compression="gzip"))
    # What a disk names is not followed, and the reason for that comes first.
    assert compressed in (plain, "BACKING_NAME", "VMDK_EXTENT")


@pytest.mark.parametrize("seed", range(12))
def test_a_compressed_file_with_random_changes(seed, packed, raw, folder):
    chance, data = random.Random(seed), bytearray(packed.read_bytes())
    for _ in range(3):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    packed.write_bytes(data)
    found = ends(of_file(packed, folder, compression="gzip"))
    right = hashlib.sha256(raw.read_bytes()).hexdigest()  # the name and time in it may be any
    assert found in ("COMPRESSION_BROKEN", "COMPRESSION_OTHER", right)


class Slow(Content):
    """A disk of 1 TiB about which each question takes a second."""

    size = 1 << 40
    asked = 0

    def extents(self, offset, length):
        type(self).asked += 1
        yield offset, length

    def read(self, offset, length):
        raise AssertionError

    def close(self):
        pass


def test_a_look_does_not_count_without_an_end(monkeypatch):
    monkeypatch.setattr(copying.time, "monotonic", lambda: float(Slow.asked))
    assert copying._counted(Slow()) is None
    assert Slow.asked == 1
    monkeypatch.setattr(copying.time, "monotonic", lambda: 0.0)
    assert copying._counted(Slow()) == Slow.size
    assert Slow.asked < 50
