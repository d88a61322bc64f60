"""Hostile files for the method copy (``./run qa hostile`` tries many more)."""

import io
import shutil
import socket
import subprocess
import tarfile
from itertools import chain
from pathlib import Path

import pytest

from qa.hostile import references
from qa.hostile.fuzz import changed
from qa.hostile.judge import one_sentence, problems
from qa.hostile.sums import correct, crc32c
from qa.hostile.tracer import command, forbidden, strays
from qa.hostile.trial import Bench

pytestmark = pytest.mark.programs

needs_qemu = pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("hostile"))


@needs_qemu
def test_the_good_files_are_read_right(bench):
    names = ("qcow2-zstd", "vmdk-stream", "vhdx", "vpc")
    found = bench.read(bench.file(f"good-{name}", name, bench.good[name]) for name in names)
    assert found.wrong == []
    assert found.codes == {"": len(names)}


@needs_qemu
def test_files_with_faults(bench):
    found = bench.read(bench.sampled(97))
    assert found.wrong == []
    assert len(found.codes) > 1


@needs_qemu
def test_files_with_several_faults(bench):
    found = bench.read(bench.several())
    assert found.wrong == []
    assert {"QEMU_REFUSED", "VMDK_BROKEN", "QCOW_BROKEN"} <= found.codes.keys()
    assert "READ" not in found.codes  # what a look accepts can be copied


@needs_qemu
def test_files_with_random_changes(bench):
    found = bench.read(bench.fuzzed(range(6)))
    assert found.wrong == []


@needs_qemu
def test_packed_files(bench):
    kinds = [("tar-gzip", "vhdx"), ("zstd", ""), ("bzip2", "qcow2"), ("zip", "")]
    files = [
        bench.packed_file(f"good-{packing}", packing, name, bench.packed_good[packing, name])
        for packing, name in kinds
    ]
    found = bench.read(files)
    assert found.wrong == []
    assert found.codes == {"": 3, "RAW_CONTAINER": 1}


@needs_qemu
def test_packed_files_with_random_changes(bench):
    found = bench.read(bench.packed(range(14)))
    assert found.wrong == []
    assert found.codes.keys() & {"COMPRESSION_BROKEN", "COMPRESSION_OTHER", "READ"}


@needs_qemu
@pytest.mark.parametrize(
    ("bomb", "code"), [("gzip-raw", "READ"), ("zstd-qcow", ""), ("tar-gzip-qcow", "SPOOL_PARTLY")]
)
def test_a_small_file_that_unpacks_to_very_much(bomb, code, bench):
    """A look at it takes less than a second of the processor."""
    found = bench.read([next(file for file in bench.bombs() if file.name.endswith(bomb))])
    assert found.wrong == []
    assert found.codes == {code: 1}


@needs_qemu
@needs_strace
@pytest.mark.timeout(240)  # strace makes some 250 files slow
def test_no_file_and_no_server_outside_of_the_policy_is_touched(bench):
    found = bench.traced(chain(bench.fuzzed(range(3)), bench.packed(range(3))))
    assert found.wrong == []
    assert {"FILE_REACH", "BACKING_NAME", "BACKING_DEPTH"} <= found.codes.keys()


@needs_strace
def test_the_tracer_sees_a_file_and_a_server(tmp_path):
    secret, log = tmp_path / references.SECRET, tmp_path / "log"
    secret.write_text("secret")
    subprocess.run(command(log, ["cat", str(secret)]), check=True, capture_output=True)
    assert any("openat" in line for line in forbidden(log, [str(secret)]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        talk = f"exec 3<>/dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        subprocess.run(command(log, ["bash", "-c", talk]), check=True, capture_output=True)
    assert any("AF_INET" in line for line in forbidden(log, []))


@needs_strace
def test_the_tracer_sees_what_good_files_do_not_touch(tmp_path):
    folder, secret = tmp_path / "open", tmp_path / references.SECRET
    logs = [tmp_path / name for name in ("usual", "log")]
    folder.mkdir()
    for path in (folder / "good", folder / "other", secret):
        path.write_text("x")
    subprocess.run(command(logs[0], ["cat", str(folder / "good")]), check=True, capture_output=True)
    names = [folder / "other", folder / ".." / secret.name, Path("/proc/self/environ")]
    subprocess.run(command(logs[1], ["cat", *map(str, names)]), check=True, capture_output=True)
    found = list(strays(logs[1], folder, logs[0]))
    assert len(found) == 2
    assert secret.name in found[0]
    assert "environ" in found[1]


def test_the_checksums():
    assert crc32c(bytearray(b"123456789")) == 0xE3069283
    data = bytearray(b"conectix" + bytes(504) + b"cxsparse" + bytes(1016) + bytes(512))
    correct(data, "vpc")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("disk.ovf"))
    good = made.getvalue()[:512] + bytes(1024)
    spoiled = bytearray(good)
    spoiled[148:156] = bytes(8)
    correct(spoiled, "tar")
    assert spoiled[:512].rstrip(b"\0") == good[:512].rstrip(b"\0")
    assert data[64:68] == (~sum(b"conectix") & 0xFFFFFFFF).to_bytes(4, "big")


def test_a_seed_makes_the_same_file_again():
    good = bytes(range(256)) * 64
    assert changed("vmdk", good, 7) == changed("vmdk", good, 7) != changed("vmdk", good, 8)


ANSWER = {
    "errors": [["VMDK_BROKEN", "It is broken."]],
    "live": [],
    "read": "",
    "seconds": [0.1, 0.0],
    "digest": "",
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"errors": [["X", "One. Two."]]}, ["not one sentence"]),
        ({"live": [["X", "a\nb."]]}, ["not one sentence"]),
        ({"read": "no full stop"}, ["not one sentence"]),
        ({"errors": [["SOURCE_UNREADABLE", "It is so."]]}, ["an error of the module"]),
        ({"seconds": [0.1, 1.5]}, ["took 1.50 s"]),
    ],
)
def test_what_is_wrong_with_an_answer(changes, said, tmp_path):
    found = problems({**ANSWER, **changes}, tmp_path / "x", "vmdk")
    assert len(found) == len(said)
    assert all(words in text for words, text in zip(said, found))


def test_a_sentence():
    assert one_sentence("/srv/x.qcow2 is damaged: a size of 0; look at it with `qemu-img check`.")
    assert not one_sentence("It is\x1b[1m bold.")
