"""What refusals of the method copy say that helps: it is done, and the disk is right then."""

import ast
import gzip
import io
import json
import lzma
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from qa.workload.encrypted import retried_until_measured
from qa.workload.esx_disks import describe, vmfs_sparse
from qa.workload.unmerged import vhd_differences, vhdx_differences, vhdx_with_log
from qa.workload.web_server import WebServer
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import copying
from rbdmigrate.sources.copying import CopySource, inspect_copied

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-utils"),
]

MIB = 1 << 20
SOURCES = Path(copying.__file__).parent
DISK = bytes(range(1, 256)) * 4112 + bytes(2 * MIB - 255 * 4112)


class Bench:
    """A folder with disks, and a server for it."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        (folder / "base.raw").write_bytes(DISK)

    def run(self, command):
        done = subprocess.run(
            command,
            check=False,
            shell=True,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
        )
        if done.returncode != 0:
            print(done.stderr)
            raise subprocess.CalledProcessError(
                done.returncode, command, output=done.stdout, stderr=done.stderr
            )

    def convert(self, options, name):
        self.run(f"qemu-img convert -f raw {options} base.raw {shlex.quote(name)}")
        return self.folder / name

    def file(self, name, kind, **fields):
        stream = {"type": "file", "file_path": str(self.folder / name), **fields}
        return {"type": kind, "stream": stream}

    def http(self, name, kind):
        return {"type": kind, "stream": {"type": "http", "url": self.server.url(f"/{name}")}}

    def archive(self, name, *files):
        with tarfile.open(self.folder / name, "w") as tar:
            for file in files:
                tar.add(self.folder / file, file)
        return self.folder / name


@pytest.fixture
def bench(tmp_path):
    with WebServer(tmp_path) as server:
        yield Bench(tmp_path, server)


def source(plain):
    return CopySource(parse_source_spec(json.dumps(plain)), ImportPolicy(folders=("/",)))


def refusal(plain):
    made = source(plain)
    return inspect_copied(made.spec, made.policy).errors[0]


def content(plain):
    made = source(plain)
    assert inspect_copied(made.spec, made.policy).errors == ()
    with made, made.open(None, summed=True) as disk:
        found = bytearray(disk.size)
        for offset, length in disk.extents(0, disk.size):
            found[offset : offset + length] = disk.read(offset, length)
        disk.finish()
        return bytes(found)


def another_type(bench):
    bench.convert("-O vmdk", "disk")
    plain = bench.file("disk", "vdi")
    error = refusal(plain)
    assert "is a VMDK file; check the type" in error.message
    return error, bench.file("disk", "vmdk")


def no_disk_of_qemu(bench):
    bench.convert("-O vdi", "disk")
    error = refusal(bench.file("disk", "qcow"))
    assert "is a VDI file; check the type" in error.message
    return error, bench.file("disk", "vdi")


def a_container_declared_raw(bench):
    bench.convert("-O vhdx", "disk")
    error = refusal(bench.file("disk", "raw"))
    return error, {**bench.file("disk", "raw"), **json.loads("{" + error.remedy + "}")}


def a_backing_file_without_a_format(bench):
    disk = bench.convert("-O qcow2", "base.qcow2")
    create = "qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 disk"
    bench.run(create)
    data = (bench.folder / "disk").read_bytes()
    mark = (0xE2792ACA).to_bytes(4, "big")
    assert data.count(mark) == 1
    (bench.folder / "disk").write_bytes(data.replace(mark, b"\0\0\0\1"))  # an unknown extension
    error = refusal(bench.file("disk", "qcow"))
    (command,) = re.findall("`(.+)`", error.message)
    assert disk.exists()
    bench.run(command.replace("FORMAT", "qcow2").replace("BACKING_FILE", "base.qcow2") + " disk")
    return error, bench.file("disk", "qcow")


def a_backing_file_in_an_archive(bench):
    bench.run("qemu-img create -q -f qcow2 -F raw -b base.raw disk")
    archive = bench.archive("web.tar", "disk", "base.raw")
    error = refusal(bench.file("web.tar", "qcow", member="disk"))
    (bench.folder / "disk").unlink()
    bench.run(error.remedy)
    assert archive.exists()
    return error, bench.file("disk", "qcow")


def a_backing_file_of_a_compressed_disk(bench):
    bench.run("qemu-img create -q -f qcow2 -F raw -b base.raw disk && gzip disk")
    error = refusal(bench.file("disk.gz", "qcow", compression="gzip"))
    bench.run(error.remedy)
    return error, bench.file("disk", "qcow")


def extents_on_a_server(bench):
    bench.convert("-O vmdk -o subformat=monolithicFlat", "disk.vmdk")
    error = refusal(bench.http("disk.vmdk", "vmdk"))
    assert "from a folder only; fetch them" in error.message
    return error, bench.file("disk.vmdk", "vmdk")


def split_extents_on_a_server(bench):
    bench.convert("-O vmdk -o subformat=twoGbMaxExtentSparse", "disk.vmdk")
    error = refusal(bench.http("disk.vmdk", "vmdk"))
    (bench.folder / "fetched").mkdir()
    bench.run(f"cd fetched && {error.remedy}")
    return error, bench.file("fetched/disk.import.qcow2", "qcow")


def extents_exported_to_one_file(bench):
    bench.convert("-O vmdk -o subformat=twoGbMaxExtentFlat", "disk.vmdk")
    error = refusal(bench.http("disk.vmdk", "vmdk"))
    assert "or export the disk to one file" in error.message
    bench.run("qemu-img convert -f vmdk -O vmdk disk.vmdk one.vmdk")
    return error, bench.http("one.vmdk", "vmdk")


def extents_in_an_archive(bench):
    bench.convert("-O vmdk -o subformat=monolithicFlat", "disk.vmdk")
    bench.archive("web.tar", "disk.vmdk", "disk-flat.vmdk")
    error = refusal(bench.file("web.tar", "vmdk", member="disk.vmdk"))
    (bench.folder / "disk.vmdk").unlink()
    bench.run(error.remedy)
    return error, bench.file("disk.vmdk", "vmdk")


def data_of_a_disk_of_esx(bench):
    disk, data = bench.folder / "disk.vmdk", bench.folder / "disk-delta.vmdk"
    vmfs_sparse(data, DISK)
    describe(disk, "vmfsSparse", data, DISK)
    error = refusal(bench.file(data.name, "vmdk"))
    assert "give the descriptor, the small text file that names it" in error.message
    return error, bench.file(disk.name, "vmdk")


def differences_to_a_vhd(bench):
    tool = shutil.which("vhdimount")
    if tool is None or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("needs libvhdi-utils and FUSE")
    linked = subprocess.run(["ldd", tool], check=True, capture_output=True, text=True).stdout
    if "libfuse" not in linked:
        pytest.skip("the vhdimount of Debian 13 was built without FUSE")
    half, child = MIB, bench.folder / "child disk.vhd"
    bench.run("qemu-img convert -f raw -O vpc -o force_size=on base.raw 'my parent.vhd'")
    bench.run("qemu-io -f vpc -c 'write -P 9 0 1M' 'my parent.vhd'")
    bench.run("qemu-img create -q -f vpc -o force_size=on 'child disk.vhd' 2M")
    own = bench.folder / "own"
    own.write_bytes(DISK[:half] + b"x" * half)
    bench.run("qemu-io -f vpc -c 'write -s own 0 2M' 'child disk.vhd'")
    vhd_differences(child, bench.folder / "my parent.vhd")
    error = refusal(bench.file(child.name, "vpc"))
    bench.run(error.remedy)
    return error, bench.file("child disk.import.qcow2", "qcow")


def differences_to_a_vhdx(bench):
    """What Hyper-V does is done by QEMU here."""
    bench.run("qemu-img create -q -f vhdx child.vhdx 2M")
    vhdx_differences(bench.folder / "child.vhdx")
    error = refusal(bench.file("child.vhdx", "vhdx"))
    assert "merge both first, with Merge-VHD" in error.message
    return error, bench.file(bench.convert("-O vhdx", "merged.vhdx").name, "vhdx")


def a_log_in_a_vhdx(bench):
    head, rest = DISK[:MIB], DISK[MIB:]
    (bench.folder / "head").write_bytes(head)
    (bench.folder / "rest").write_bytes(rest)
    bench.run("qemu-img create -q -f vhdx -o block_size=1M log.vhdx 2M")
    bench.run("qemu-io -f vhdx -c 'write -s head 0 1M' log.vhdx")
    before = (bench.folder / "log.vhdx").read_bytes()
    bench.run("qemu-io -f vhdx -c 'write -s rest 1M 1M' log.vhdx")
    vhdx_with_log(bench.folder / "log.vhdx", before)
    return bench.file("log.vhdx", "vhdx")


def a_log_to_be_replayed(bench):
    plain = a_log_in_a_vhdx(bench)
    error = refusal(plain)
    bench.run(error.remedy)
    return error, plain


def a_log_in_a_compressed_file(bench):
    a_log_in_a_vhdx(bench)
    bench.run("gzip log.vhdx")
    error = refusal(bench.file("log.vhdx.gz", "vhdx", compression="gzip"))
    bench.run(error.remedy)
    return error, bench.file("log.vhdx", "vhdx")


def an_encrypted_disk(bench):
    convert = (
        "qemu-img convert -f raw -O qcow2 --object secret,id=s,data=hush "
        "-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 base.raw disk"
    )
    retried_until_measured(lambda: bench.run(convert))
    error = refusal(bench.file("disk", "qcow"))
    assert 'add "passphrase"' in error.message
    return error, {**bench.file("disk", "qcow"), "passphrase": "hush"}


def a_size_of_no_whole_sectors(bench):
    disk = bench.convert("-O qcow2", "disk")
    data = bytearray(disk.read_bytes())
    data[24:32] = (len(DISK) - 1).to_bytes(8, "big")
    disk.write_bytes(data)
    error = refusal(bench.file("disk", "qcow"))
    bench.run(error.remedy)
    return error, bench.file("disk", "qcow")


def a_corrupt_mark(bench):
    disk = bench.convert("-O qcow2", "disk")
    data = bytearray(disk.read_bytes())
    data[79] |= 2
    disk.write_bytes(data)
    error = refusal(bench.file("disk", "qcow"))
    bench.run(error.remedy)
    return error, bench.file("disk", "qcow")


def another_compression(bench):
    (bench.folder / "disk").write_bytes(gzip.compress(DISK))
    error = refusal(bench.file("disk", "raw", compression="xz", size=len(DISK)))
    (kind,) = re.findall("begins as (.+) does; check the compression", error.message)
    return error, bench.file("disk", "raw", compression=kind, size=len(DISK))


def too_large_a_dictionary(bench):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 * MIB}]
    with lzma.open(bench.folder / "disk.xz", "wb", filters=filters) as file:
        file.write(DISK)
    error = refusal(bench.file("disk.xz", "raw", compression="xz"))
    assert "; unpack it, or compress it with a smaller window" in error.message
    bench.run("unxz disk.xz")
    return error, bench.file("disk", "raw")


def no_size(bench):
    (bench.folder / "disk.gz").write_bytes(gzip.compress(DISK))
    error = refusal(bench.file("disk.gz", "raw", compression="gzip"))
    done = subprocess.run(
        error.remedy, shell=True, capture_output=True, check=True, text=True, timeout=60
    )
    assert '"size": BYTES' in error.message
    return error, bench.file("disk.gz", "raw", compression="gzip", size=int(done.stdout))


def another_member(bench):
    bench.archive("web.tar", "base.raw")
    error = refusal(bench.file("web.tar", "raw", member="disk.raw"))
    (name,) = re.findall("; it has '(.+)'", error.message)
    return error, bench.file("web.tar", "raw", member=name)


def no_archive(bench):
    error = refusal(bench.file("base.raw", "raw", member="base.raw"))
    assert "leave out the member" in error.message
    return error, bench.file("base.raw", "raw")


def an_archive_declared_raw(bench):
    packed = io.BytesIO(bench.archive("web.tar", "base.raw").read_bytes())
    (bench.folder / "web.tar.gz").write_bytes(gzip.compress(packed.getvalue()))
    size = len(packed.getvalue())
    error = refusal(bench.file("web.tar.gz", "raw", compression="gzip", size=size))
    (bench.folder / "base.raw").unlink()
    bench.run(error.remedy)
    return error, bench.file("base.raw", "raw")


FOLLOWED = {
    "FORMAT_OTHER": [another_type],
    "QCOW_MAGIC": [no_disk_of_qemu],
    "RAW_CONTAINER": [a_container_declared_raw, an_archive_declared_raw],
    "BACKING_FORMAT": [a_backing_file_without_a_format],
    "BACKING_NAME": [a_backing_file_in_an_archive, a_backing_file_of_a_compressed_disk],
    "VMDK_EXTENT": [
        extents_on_a_server,
        split_extents_on_a_server,
        extents_exported_to_one_file,
        extents_in_an_archive,
        data_of_a_disk_of_esx,
    ],
    "VHD_DIFFERENCING": [differences_to_a_vhd],
    "VHDX_DIFFERENCING": [differences_to_a_vhdx],
    "VHDX_LOG": [a_log_to_be_replayed, a_log_in_a_compressed_file],
    "PASSPHRASE_MISSING": [an_encrypted_disk],
    "QCOW_SIZE": [a_size_of_no_whole_sectors],
    "QCOW_CORRUPT": [a_corrupt_mark],
    "COMPRESSION_OTHER": [another_compression],
    "COMPRESSION_MEMORY": [too_large_a_dictionary],
    "STREAM_SIZE": [no_size],
    "ARCHIVE_MEMBER": [another_member],
    "ARCHIVE_BROKEN": [no_archive],
}


#: Codes whose remedies are followed in other tests.
ELSEWHERE = {
    "HTTP_REDIRECT": "test_redirects",
    "QEMU_MISSING": "test_package_remedies",
    "S3_SIGNATURE_V4": "test_package_remedies",
    "S3_VIRTUAL_HOSTED": "test_s3_source",
    "SPOOL_FULL": "test_spool",
    "SPOOL_PARTLY": "test_spool",
    "ZSTD_MISSING": "test_package_remedies",
}


def test_each_remedy_is_followed_in_a_test():
    """Those that are given where an error is raised."""
    given = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or all(
                word.arg != "remedy" for word in node.keywords
            ):
                continue
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            given |= {text for text in texts if re.fullmatch(r"[A-Z][A-Z0-9_]+", str(text))}
    assert given - FOLLOWED.keys() == ELSEWHERE.keys()


@pytest.mark.parametrize(
    ("code", "case"), [(code, case) for code, cases in FOLLOWED.items() for case in cases]
)
def test_a_remedy_works_when_it_is_followed(code, case, bench):
    error, plain = case(bench)
    assert error.code == code
    assert content(plain) == DISK
