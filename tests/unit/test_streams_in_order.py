"""Raw disks that are read in one go: compressed, from servers without ranges, with a checksum."""

import bz2
import gzip
import hashlib
import json
import lzma
import shutil
import subprocess
import tracemalloc
from errno import EBADMSG, ECONNRESET, EINVAL

import pytest

from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError, zstd
from rbdmigrate.sources.copying import CopySource, identify_copied, inspect_copied

MIB = 1 << 20
DISK = b"".join(bytes([n]) * 70000 + bytes(61072) for n in range(1, 25))  # 3 MiB, half of it zeros

COMPRESS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": lambda data: (
        subprocess.run(
            ["zstd", "-c"], input=data, capture_output=True, check=True, timeout=60
        ).stdout
    ),
}


@pytest.fixture
def server(tmp_path):
    with WebServer(tmp_path) as made:
        yield made


def source(stream, kind="raw"):
    spec = parse_source_spec(json.dumps({"type": kind, "stream": stream}))
    return CopySource(spec, ImportPolicy(folders=("/",)))


def of_file(path, **fields):
    return source({"type": "file", "file_path": str(path), **fields})


def of_server(server, name, **fields):
    return source({"type": "http", "url": server.url(f"/{name}"), **fields})


def read_all(made, *, step=MIB, summed=True):
    """The disk as a copy reads it: forwards, to its end."""
    with made.open(None, summed=summed) as disk:
        parts = [disk.read(at, step) for at in range(0, disk.size, step)]
        disk.finish()
        return b"".join(parts)


def refused(made, **options):
    with pytest.raises(SourceError) as caught:
        read_all(made, **options)
    assert caught.value.message.endswith(".")
    return caught.value


def problems(made):
    found = inspect_copied(made.spec, made.policy)
    return [f.code for f in found.findings if f.severity is Severity.ERROR]


def notes(made):
    found = inspect_copied(made.spec, made.policy)
    return [f.code for f in found.findings]


def sum_of(data, kind="sha256"):
    return f"{kind}:{hashlib.new(kind, data).hexdigest()}"


@pytest.mark.parametrize("kind", COMPRESS)
def test_what_is_decompressed_is_the_disk(kind, tmp_path, server):
    path = tmp_path / "disk.packed"
    path.write_bytes(COMPRESS[kind](DISK))
    for made in (
        of_file(path, compression=kind, size=len(DISK)),
        of_server(server, path.name, compression=kind, size=len(DISK)),
    ):
        assert read_all(made) == DISK
        assert notes(made) == ["SOURCE_IN_ORDER"]
        inspection = inspect_copied(made.spec, made.policy)
        assert (inspection.size, inspection.to_copy) == (len(DISK), len(DISK))
        assert inspection.identity["stream"]["size"] == str(path.stat().st_size)


@pytest.mark.parametrize("kind", COMPRESS)
def test_files_of_several_parts(kind, tmp_path):
    path = tmp_path / "disk.packed"
    half = len(DISK) // 2
    path.write_bytes(COMPRESS[kind](DISK[:half]) + COMPRESS[kind](DISK[half:]))
    assert read_all(of_file(path, compression=kind, size=len(DISK))) == DISK


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zeros_may_follow(kind, tmp_path):
    path = tmp_path / "disk.packed"
    path.write_bytes(COMPRESS[kind](DISK) + bytes(512))
    assert read_all(of_file(path, compression=kind, size=len(DISK))) == DISK


def test_files_of_pzstd_begin_with_a_frame_that_is_skipped(tmp_path):
    path = tmp_path / "disk.zst"
    skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
    path.write_bytes(skipped + COMPRESS["zstd"](DISK))
    assert read_all(of_file(path, compression="zstd", size=len(DISK))) == DISK


def test_xz_and_zstd_say_the_size_of_the_disk(tmp_path):
    path = tmp_path / "disk.xz"
    path.write_bytes(lzma.compress(DISK[:MIB]) + bytes(8) + lzma.compress(DISK[MIB:]))
    assert read_all(of_file(path, compression="xz")) == DISK
    raw, packed = tmp_path / "disk.raw", tmp_path / "disk.zst"
    raw.write_bytes(DISK)
    subprocess.run(["zstd", "-q", str(raw), "-o", str(packed)], check=True, timeout=60)
    assert read_all(of_file(packed, compression="zstd")) == DISK


@pytest.mark.parametrize("kind", ["gzip", "bzip2"])
def test_others_do_not_and_the_remedy_counts_it(kind, tmp_path):
    path = tmp_path / "a disk.packed"
    path.write_bytes(COMPRESS[kind](DISK))
    made = of_file(path, compression=kind)
    (error,) = inspect_copied(made.spec, made.policy).errors
    assert (error.code, error.errno) == ("STREAM_SIZE", EINVAL)
    assert '"size": BYTES' in error.message
    counted = subprocess.run(
        error.remedy, shell=True, capture_output=True, text=True, check=True, timeout=60
    )
    assert read_all(of_file(path, compression=kind, size=int(counted.stdout))) == DISK


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("wrong", [-1, 1, MIB])
def test_never_more_or_less_than_was_said(kind, wrong, tmp_path):
    path = tmp_path / "disk.packed"
    path.write_bytes(COMPRESS[kind](DISK))
    error = refused(of_file(path, compression=kind, size=len(DISK) + wrong))
    assert error.problem == "STREAM_SIZE"
    assert str(len(DISK) + wrong) in error.message


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_bomb_is_read_as_far_as_was_said_in_constant_memory(kind, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(COMPRESS[kind](bytes(64 * MIB)))
    assert path.stat().st_size < MIB
    tracemalloc.start()
    try:
        error = refused(of_file(path, compression=kind, size=4 * MIB), step=MIB)
        assert error.problem == "STREAM_SIZE"
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_file_that_is_damaged_or_cut_off(kind, tmp_path):
    path = tmp_path / "disk.packed"
    good = COMPRESS[kind](bytes(range(256)) * 4096)
    for data in (good[:-6], good[: len(good) // 2]):
        path.write_bytes(data)
        error = refused(of_file(path, compression=kind, size=MIB))
        assert error.problem in ("COMPRESSION_BROKEN", "STREAM_SIZE")
        assert error.errno in (EBADMSG, EINVAL)
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 0x55]) + good[middle + 1 :])
    if kind != "zstd":  # which has a checksum only in files that zstd made from files
        assert refused(of_file(path, compression=kind, size=MIB)).errno == EBADMSG


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("other", [*COMPRESS, "raw"])
def test_the_compression_is_checked(kind, other, tmp_path):
    if kind == other:
        return
    path = tmp_path / "disk.packed"
    path.write_bytes(DISK if other == "raw" else COMPRESS[other](DISK))
    error = refused(of_file(path, compression=kind, size=len(DISK)))
    assert error.problem == "COMPRESSION_OTHER"
    assert (f"as {other} does" in error.message) == (other != "raw")


def test_xz_with_a_large_dictionary_is_refused(tmp_path):
    path = tmp_path / "disk.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * MIB}]
    with lzma.open(path, "wb", filters=filters) as file:
        file.write(DISK)
    assert refused(of_file(path, compression="xz")).problem == "COMPRESSION_MEMORY"


def test_without_libzstd_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(zstd, "_LIBRARY", "libzstd-that-is-not-there.so.1")
    path = tmp_path / "disk.zst"
    path.write_bytes(COMPRESS["zstd"](DISK))
    error = refused(of_file(path, compression="zstd", size=len(DISK)))
    assert (error.problem, error.remedy) == ("ZSTD_MISSING", "apt install libzstd1")


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-utils")
def test_another_format_within_is_refused_with_a_way_out(tmp_path):
    raw, packed = tmp_path / "disk.raw", tmp_path / "disk.qcow2.gz"
    raw.write_bytes(DISK)
    made = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(tmp_path / "d")]
    subprocess.run(made, check=True, timeout=60)
    data = (tmp_path / "d").read_bytes()
    packed.write_bytes(gzip.compress(data))
    made = of_file(packed, compression="gzip", size=len(data))
    (error,) = inspect_copied(made.spec, made.policy).errors
    assert (error.code, error.remedy) == ("RAW_CONTAINER", '"type": "qcow", and no "size"')
    with source({"type": "file", "file_path": str(packed), "compression": "gzip"}, "qcow") as made:
        assert read_all(made) == DISK
    archive = tmp_path / "disk.tar.gz"
    subprocess.run(["tar", "-czf", str(archive), "-C", str(tmp_path), "d"], check=True, timeout=60)
    made = of_file(archive, compression="gzip", size=len(data))
    (error,) = inspect_copied(made.spec, made.policy).errors
    assert (error.code, error.remedy) == ("RAW_CONTAINER", f"tar -xf {archive}")


def test_going_back_begins_again(tmp_path):
    path = tmp_path / "disk.gz"
    path.write_bytes(gzip.compress(DISK))
    with of_file(path, compression="gzip", size=len(DISK)).open(None) as disk:
        assert disk.in_order
        for at in (2 * MIB, 0, 100, MIB, 5, 2 * MIB):
            assert disk.read(at, 1000) == DISK[at : at + 1000]


# -- servers without ranges -------------------------------------------------------------------

NO_RANGES = [
    Behaviour(ranges=False),
    Behaviour(ranges="none", http10=True),
    Behaviour(ranges=False, close="told"),
]


@pytest.mark.parametrize("behaviour", NO_RANGES)
@pytest.mark.parametrize("kind", ["", "gzip"])
def test_a_server_without_ranges(behaviour, kind, tmp_path, server):
    (tmp_path / "disk").write_bytes(gzip.compress(DISK) if kind else DISK)
    server.behave("/disk", behaviour)
    fields = {"compression": kind, "size": len(DISK)} if kind else {}
    made = of_server(server, "disk", **fields)
    assert read_all(made) == DISK
    assert (problems(made), notes(made)) == ([], ["SOURCE_IN_ORDER"])
    assert identify_copied(made)["stream"].keys() == {"size", "etag", "modified"}


def test_it_is_read_once(tmp_path, server):
    (tmp_path / "disk").write_bytes(DISK)
    server.behave("/disk", Behaviour(ranges=False))
    made = of_server(server, "disk")
    before = len(server.requests)
    read_all(made)
    whole = [r for r in server.requests[before:] if "range" not in r.headers]
    assert len(whole) == 1


def test_an_answer_that_is_cut_off_may_pass(tmp_path, server):
    (tmp_path / "disk").write_bytes(DISK)
    server.behave("/disk", Behaviour(ranges=False, drop=2 * MIB))
    error = refused(of_server(server, "disk"))
    assert (error.errno, error.transient) == (ECONNRESET, True)


def test_a_file_that_was_exchanged_meanwhile(tmp_path, server):
    (tmp_path / "disk").write_bytes(DISK)
    server.behave("/disk", Behaviour(ranges=False))
    with of_server(server, "disk").open(None) as disk:
        disk.read(MIB, 100)
        (tmp_path / "disk").write_bytes(DISK[::-1])
        with pytest.raises(SourceError) as caught:
            disk.read(0, MIB)  # from its beginning again
    assert caught.value.problem == "SOURCE_CHANGED"


def test_tags_that_change_from_answer_to_answer_are_no_proof(tmp_path, server):
    (tmp_path / "disk").write_bytes(DISK)
    server.behave("/disk", Behaviour(ranges=False, etag="changing"))
    made = of_server(server, "disk")
    assert read_all(made) == DISK
    assert (problems(made), set(notes(made))) == ([], {"SOURCE_FICKLE", "SOURCE_IN_ORDER"})


def test_a_content_encoding_is_refused(tmp_path, server):
    (tmp_path / "disk").write_bytes(DISK)
    for ranges in (True, False):
        server.behave("/disk", Behaviour(ranges=ranges, encoding="gzip"))
        assert problems(of_server(server, "disk")) == ["HTTP_ENCODED"]


# -- checksums --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sha256", "sha512", "sha1", "md5"])
def test_the_checksum_is_of_the_bytes_as_they_are_served(kind, tmp_path, server):
    path = tmp_path / "disk.gz"
    packed = gzip.compress(DISK) + bytes(100)  # what follows counts too
    path.write_bytes(packed)
    fields = {"compression": "gzip", "size": len(DISK)}
    assert read_all(of_file(path, checksum=sum_of(packed, kind), **fields)) == DISK
    assert read_all(of_server(server, path.name, checksum=sum_of(packed, kind), **fields)) == DISK
    error = refused(of_file(path, checksum=sum_of(DISK, kind), **fields))
    assert (error.problem, error.errno) == ("CHECKSUM_OTHER", EBADMSG)
    assert sum_of(packed, kind) in error.message
    assert sum_of(DISK, kind).partition(":")[2] in error.message


@pytest.mark.parametrize("ranges", [True, False])
def test_a_raw_disk_with_a_checksum_is_read_in_order(ranges, tmp_path, server):
    (tmp_path / "disk").write_bytes(DISK)
    server.behave("/disk", Behaviour(ranges=ranges))
    right, wrong = sum_of(DISK).upper().replace("SHA", "sha"), sum_of(DISK[1:])
    made = of_server(server, "disk", checksum=right)
    with made.open(None, summed=True) as disk:
        assert disk.in_order
    with made.open(None) as disk:  # of a verification
        assert disk.in_order is not ranges
    assert read_all(made) == DISK
    assert notes(made) == ["SOURCE_IN_ORDER"]
    assert refused(of_server(server, "disk", checksum=wrong)).problem == "CHECKSUM_OTHER"


def test_the_checksum_counts_what_was_read_last(tmp_path):
    """After going back the whole file is read again, and its checksum is that of this reading."""
    path = tmp_path / "disk"
    path.write_bytes(DISK)
    with of_file(path, checksum=sum_of(DISK)).open(None, summed=True) as disk:
        disk.read(MIB, MIB)
        disk.read(0, 2 * MIB)
        disk.finish()
