"""Disks in an archive of tar: what is read is what lies there, and nothing is guessed."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from errno import EINVAL

import pytest

from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.copying import CopySource, inspect_copied

MIB = 1 << 20
DISK = bytes(range(256)) * 4096


def source(stream, kind="raw"):
    spec = parse_source_spec(json.dumps({"type": kind, "stream": stream}))
    return CopySource(spec, ImportPolicy(folders=("/",)))


def of_file(path, member, kind="raw"):
    return source({"type": "file", "file_path": str(path), "member": member}, kind)


def read_all(made):
    with made.open(None) as disk:
        found = bytearray(disk.size)
        for offset, length in disk.extents(0, disk.size):
            found[offset : offset + length] = disk.read(offset, length)
        return bytes(found)


def read_in_order(made):
    with made.open(None, summed=True) as disk:
        found = disk.read(0, disk.size)
        disk.finish()
        return found


def error_of(made):
    found = inspect_copied(made.spec, made.policy)
    (error,) = [f for f in found.findings if f.severity is Severity.ERROR]
    assert error.message.endswith(".")
    assert "\n" not in error.message
    return error


def archive(path, files, form=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_disk_between_others(form, tmp_path):
    long = "a folder/" * 12 + "disk-" + ("é" if form != tarfile.USTAR_FORMAT else "") + "2.raw"
    files = {"web.ovf": b"<Envelope/>", "./disk1.raw": bytes(3000), long: DISK, "z": b"z"}
    path = archive(tmp_path / "web.ova", files, form)
    assert read_all(of_file(path, long)) == DISK
    assert read_all(of_file(path, "disk1.raw")) == bytes(3000)
    found = inspect_copied(of_file(path, long).spec, ImportPolicy(folders=("/",)))
    assert (found.size, found.errors) == (len(DISK), ())
    assert found.identity["stream"]["size"] == str(path.stat().st_size)


def test_over_http_little_is_read_to_find_it(tmp_path):
    archive(tmp_path / "web.ova", {"web.ovf": b"x" * 100, "big": bytes(8 * MIB), "disk": DISK})
    with WebServer(tmp_path) as server:
        stream = {"type": "http", "url": server.url("/web.ova"), "member": "disk"}
        assert read_all(source(stream)) == DISK
        assert len(server.requests) < 20
        server.behave("/web.ova", Behaviour(ranges=False))
        assert read_all(source(stream)) == DISK  # in one go


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-utils")
@pytest.mark.parametrize("where", ["file", "http"])
def test_a_vmdk_file_in_an_ova(where, tmp_path):
    raw, disk = tmp_path / "disk.raw", tmp_path / "web-disk1.vmdk"
    raw.write_bytes(DISK + bytes(3 * MIB))
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*convert, str(raw), str(disk)], check=True, timeout=60)
    files = {"web.ovf": b"<Envelope/>", disk.name: disk.read_bytes(), "web.mf": b"SHA1"}
    path = archive(tmp_path / "web.ova", files)
    with WebServer(tmp_path) as server:
        place = {"type": "file", "file_path": str(path)}
        if where == "http":
            place = {"type": "http", "url": server.url("/web.ova")}
        made = source({**place, "member": disk.name}, "vmdk")
        assert inspect_copied(made.spec, made.policy).errors == ()
        assert read_all(made) == raw.read_bytes()


def test_the_file_is_named_and_those_that_are_there_are_told(tmp_path):
    path = archive(tmp_path / "web.ova", {"web.ovf": b"x", "disk1.vmdk": DISK})
    error = error_of(of_file(path, "disk2.vmdk"))
    assert (error.code, "'web.ovf', 'disk1.vmdk'" in error.message) == ("ARCHIVE_MEMBER", True)


def test_what_is_no_archive(tmp_path):
    path = tmp_path / "disk.raw"
    for data in (DISK, b"", b"short", bytes(2048)):
        path.write_bytes(data)
        error = error_of(of_file(path, "disk"))
        assert error.code in ("ARCHIVE_BROKEN", "ARCHIVE_MEMBER")


def test_an_archive_that_is_cut_off(tmp_path):
    path = archive(tmp_path / "web.ova", {"a": b"x", "disk": DISK})
    data = path.read_bytes()
    path.write_bytes(data[: len(DISK) // 2])
    assert error_of(of_file(path, "disk")).code == "ARCHIVE_BROKEN"


def header(name=b"disk", size=b"00000004000", kind=b"0"):
    """A header of tar with these fields, and the right sum."""
    made = bytearray(512)
    made[: len(name)] = name
    made[100:107], made[108:115], made[116:123] = (b"0000644", b"0000000", b"0000000")
    made[124 : 124 + len(size)] = size
    made[136:147] = b"00000000000"
    made[156:157] = kind
    made[257:265] = b"ustar\x0000"
    made[148:156] = b" " * 8
    made[148:155] = b"%06o\0" % sum(made)
    return bytes(made)


def sparse_header(*parts, more=0):
    """A header of a sparse file of 1 MiB with these parts, as old versions of GNU's tar write."""
    made = bytearray(header(kind=b"S", size=b"00000001000"))
    made[257:265] = b"ustar  \0"
    for number, (offset, length) in enumerate(parts):
        for at, value in ((386 + 24 * number, offset), (398 + 24 * number, length)):
            made[at : at + 12] = b"\x80" + value.to_bytes(11, "big", signed=True)
            if value < 0:
                made[at] = 0xFF
    made[482], made[483:495] = more, b"00004000000\0"
    made[148:156] = b" " * 8
    made[148:155] = b"%06o\0" % sum(made)
    return bytes(made)


HOSTILE = {
    "a size beyond the end": header(size=b"77777777777"),
    "a negative size": header(size=b"\xff" * 8 + b"\xff\xff\xf0\0"),
    "a size of 8 EiB": header(size=b"\x80\0\0\0\x7f" + b"\xff" * 7),
    "a long name of 1 GiB": header(kind=b"L", size=b"10000000000") + bytes(1024),
    "records of 1 GiB": header(kind=b"x", size=b"10000000000") + bytes(1024),
    "records that are none": header(kind=b"x", size=b"00000000100") + b"\xff" * 512,
    "a link": header(kind=b"2", size=b"00000000000"),
    "a device": header(kind=b"3", size=b"00000000000"),
    "many files": header(name=b"x", size=b"00000000000") * 3000,
    "parts out of order": sparse_header((4096, 512), (0, 512)),
    "parts one over the other": sparse_header((0, 1024), (512, 1024)),
    "a part of a negative length": sparse_header((0, -512)),
    "a part beyond the end": sparse_header((1 << 30, 512)),
    "a part at 8 EiB": sparse_header(((1 << 63) - 1, 512)),
    "a list of parts without an end": sparse_header((0, 512), more=1) + b"\xff" * (3 << 20),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_get_one_sentence(name, tmp_path):
    path = tmp_path / "web.ova"
    path.write_bytes(HOSTILE[name] + bytes(1024))
    error = error_of(of_file(path, "disk"))
    assert error.code.startswith("ARCHIVE_"), error.code
    with pytest.raises(SourceError):
        read_all(of_file(path, "disk"))


SPARSE = [
    ["--format=oldgnu"],  # as Google's images are packed
    ["--format=gnu"],
    ["--format=pax", "--sparse-version=0.0"],
    ["--format=pax", "--sparse-version=0.1"],
    ["--format=pax", "--sparse-version=1.0"],
]


@pytest.mark.parametrize("form", SPARSE, ids=" ".join)
@pytest.mark.parametrize("compression", ["", "gzip", "xz", "bzip2", "zstd"])
def test_a_sparse_file_is_read_with_its_holes(form, compression, tmp_path):
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        for number in range(1, 30):  # more parts than fit into a header
            file.seek(number * 256 * 1024)
            file.write(DISK[: 4096 * (1 + number % 3)])
        file.truncate(MIB * 9)
    packed = {"gzip": "-z", "xz": "-J", "bzip2": "-j", "zstd": "--zstd", "": "--"}[compression]
    (tmp_path / "readme").write_bytes(b"x" * 700)
    command = ["tar", "--sparse", *form, "-cf", "web.tar", packed, "readme", "disk.raw"]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    assert (tmp_path / "web.tar").stat().st_size < 2 * MIB
    stream = {"type": "file", "file_path": str(tmp_path / "web.tar"), "member": "disk.raw"}
    made = source({**stream, **({"compression": compression} if compression else {})})
    assert inspect_copied(made.spec, made.policy).size == raw.stat().st_size
    with made.open(None) as disk:
        content = raw.read_bytes()
        assert disk.read(0, disk.size) == content
        for at in range(0, 8 * MIB, 999_983):
            assert disk.read(at, 300_000) == content[at : at + 300_000]
        if compression:
            disk.read(disk.size - 1, 1)
            disk.finish()


def test_a_compressed_archive_that_is_cut_off_or_damaged(tmp_path):
    path = archive(tmp_path / "web.tar", {"a": b"x", "disk": DISK})
    packed = gzip.compress(path.read_bytes())
    stream = {"type": "file", "file_path": str(path), "member": "disk", "compression": "gzip"}
    cut = gzip.compress(path.read_bytes()[: len(DISK) // 2])
    for data in (packed[: len(packed) // 2], cut, packed[:-8] + bytes(8)):
        path.write_bytes(data)
        with pytest.raises(SourceError) as caught:
            read_in_order(source(stream))
        assert caught.value.problem in ("COMPRESSION_BROKEN", "SOURCE_TRUNCATED")


def test_the_checksum_of_a_compressed_archive_is_compared_in_passing(tmp_path):
    path = archive(tmp_path / "web.tar", {"a": b"x", "disk": DISK, "z": b"z"})
    path.write_bytes(gzip.compress(path.read_bytes()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    stream = {"type": "file", "file_path": str(path), "member": "disk", "compression": "gzip"}
    assert read_in_order(source({**stream, "checksum": f"sha256:{digest}"})) == DISK
    with pytest.raises(SourceError) as caught:
        read_in_order(source({**stream, "checksum": f"sha256:{digest[::-1]}"}))
    assert caught.value.problem == "CHECKSUM_OTHER"


def test_files_that_a_disk_in_an_archive_names_are_not_followed(tmp_path):
    stated = b'# Disk DescriptorFile\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    path = archive(tmp_path / "web.ova", {"disk.vmdk": stated + b'RW 8 FLAT "flat.vmdk" 0\n'})
    assert error_of(of_file(path, "disk.vmdk", "vmdk")).errno != EINVAL
    assert error_of(of_file(path, "disk.vmdk", "vmdk")).code == "VMDK_EXTENT"
