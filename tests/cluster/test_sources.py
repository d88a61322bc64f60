"""External sources against the real tools: qemu-img, qemu-nbd, a RADOS Gateway."""

import json
import shlex
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config

from qa.workload.web_server import WebServer
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError, inspect, open_content

OPEN = ImportPolicy(folders=("/",))
MiB = 1 << 20


def tool(*args, cwd=None):
    subprocess.run(list(map(str, args)), check=True, capture_output=True, timeout=60, cwd=cwd)


def qemu_io(file, *commands, form="qcow2"):
    tool("qemu-io", "-f", form, *[part for c in commands for part in ("-c", c)], file)


def spec_of(kind, stream):
    return parse_source_spec(json.dumps({"type": kind, "stream": stream}))


def file_spec(kind, file):
    return spec_of(kind, {"type": "file", "file_path": str(file)})


def problems(inspection):
    return [f.code for f in inspection.findings if f.severity is not Severity.INFO]


def contents(spec, snapshot=None, resolve=None):
    """The disk, read whole, which has to be what its extents hold."""
    more = {} if resolve is None else {"resolve_config": resolve}
    with open_content(spec, snapshot, OPEN, **more) as content:
        whole, pieces = content.read(0, content.size), bytearray(content.size)
        for offset, length in content.extents(0, content.size):
            pieces[offset : offset + length] = content.read(offset, length)
        assert bytes(pieces) == whole
        return whole


def converted(file, form, snapshot=None):
    """The disk as QEMU reads it."""
    target = file.with_suffix(".converted")
    choice = ["-l", f"snapshot.name={snapshot}"] if snapshot else []
    tool("qemu-img", "convert", "-f", form, *choice, "-O", "raw", file, target)
    return target.read_bytes()


READABLE = [
    ("qcow", ""),
    ("qcow2", "compat=0.10"),
    ("qcow2", "compat=1.1"),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "cluster_size=4k"),
    ("qcow2", "cluster_size=2M"),
    ("qcow2", "lazy_refcounts=on"),
    ("qcow2", "refcount_bits=1"),
    ("qcow2", "preallocation=metadata"),
]


@pytest.mark.parametrize(("form", "options"), READABLE)
def test_what_qemu_wrote_is_read(tmp_path, form, options):
    file = tmp_path / "disk.qcow"
    extra = ["-o", options] if options else []
    tool("qemu-img", "create", "-f", form, *extra, file, "9M")
    qemu_io(file, "write -P 1 0 100k", "write -P 2 3M 1M", "write -P 3 8900k 10k", form=form)
    snapshots = ()
    if form == "qcow2" and "refcount_bits" not in options:
        snapshots = ("first", "second one")
        tool("qemu-img", "snapshot", "-c", snapshots[0], file)
        qemu_io(file, "write -P 9 3100k 64k", "discard 8900k 10k")
        tool("qemu-img", "snapshot", "-c", snapshots[1], file)
        tool("qemu-img", "bench", "-w", "-f", "qcow2", "-c", 100, "-S", "72k", file)
    grown = 3 * MiB if snapshots and "0.10" not in options else 0
    if grown:  # older files cannot once they have snapshots
        tool("qemu-img", "resize", file, "12M")
        qemu_io(file, "write -P 4 11M 70k")
    spec = file_spec("qcow", file)
    inspection = inspect(spec, OPEN)
    assert problems(inspection) == []
    assert [s.name for s in inspection.snapshots] == list(snapshots)
    assert inspection.size == 9 * MiB + grown
    assert contents(spec) == converted(file, form)
    for snapshot in snapshots:  # QEMU gives them the head's size
        disk = contents(spec, snapshot)
        assert len(disk) == 9 * MiB
        assert disk + bytes(grown) == converted(file, form, snapshot)
    with WebServer(tmp_path) as server:
        over_http = spec_of("qcow", {"type": "http", "url": server.url("/disk.qcow")})
        assert inspect(over_http, OPEN).to_copy == inspection.to_copy
        assert contents(over_http) == contents(spec)


def plain(folder):
    file = folder / "plain.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", file, "2M")
    qemu_io(file, "write -P 1 0 1M")
    return file


def convert_with(*options):
    def make(folder):
        file = folder / "disk.qcow2"
        tool("qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", *options, plain(folder), file)
        return file

    return make


def zeroed(folder):
    file = plain(folder)
    qemu_io(file, "write -z 128k 128k")
    return file


def partly_compressed(folder):
    file = plain(folder)
    qemu_io(file, "write -c -P 7 1M 64k")
    return file


def backed(folder):
    file = folder / "disk.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-b", plain(folder), "-F", "qcow2", file)
    return file


def apart(folder):
    return convert_with("-o", f"data_file={folder / 'disk.data'}")(folder)


MENDED = [
    (convert_with("-c"), ["QCOW_COMPRESSED"]),
    (convert_with("-c", "-o", "compression_type=zstd"), ["QCOW_COMPRESSION", "QCOW_COMPRESSED"]),
    (convert_with("-o", "extended_l2=on"), ["QCOW_EXTENDED_L2"]),
    (zeroed, ["QCOW_ZEROED"]),
    (partly_compressed, ["QCOW_COMPRESSED"]),
    (backed, ["QCOW_BACKING"]),
    (apart, ["QCOW_DATA_FILE"]),
]


@pytest.mark.parametrize(("make", "codes"), MENDED)
def test_what_is_refused_can_be_imported_after_the_remedy(tmp_path, make, codes):
    file = make(tmp_path)
    expected = converted(file, "qcow2")
    inspection = inspect(file_spec("qcow", file), OPEN)
    assert problems(inspection) == codes
    command = inspection.errors[0].remedy
    tool("sh", "-c", command)
    converted_spec = file_spec("qcow", tmp_path / shlex.split(command)[-1])
    assert problems(inspect(converted_spec, OPEN)) == []
    assert contents(converted_spec) == expected


@pytest.mark.parametrize("data", ["disk.data", "a, disk.data", "inner/disk.data"])
def test_a_data_file_on_a_web_server_is_joined_by_the_remedy(tmp_path, data):
    """On the server both are in one folder, also if the file names its data file in another one."""
    source, served, work = (tmp_path / name for name in ("source", "served", "work"))
    for folder in (source / "inner", served, work):
        folder.mkdir(parents=True)
    options = "data_file=" + data.replace(",", ",,")
    raw = converted(plain(source), "qcow2")
    tool("qemu-img", "create", "-f", "qcow2", "-o", options, "disk.qcow2", "2M", cwd=source)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 1M", "disk.qcow2", cwd=source)
    for file in ("disk.qcow2", data):
        (source / file).rename(served / Path(file).name)
    with WebServer(served) as server:
        spec = spec_of("qcow", {"type": "http", "url": server.url("/disk.qcow2")})
        (error,) = inspect(spec, OPEN).errors
        tool("sh", "-c", error.remedy, cwd=work)
        server.behave(f"/{quote(Path(data).name)}", status=404)
        (without,) = inspect(spec, OPEN).errors
    assert error.code == without.code == "QCOW_DATA_FILE"
    assert without.remedy == ""
    assert contents(file_spec("qcow", work / shlex.split(error.remedy)[-1])) == raw


@pytest.mark.parametrize("form", ["monolithicFlat", "twoGbMaxExtentSparse"])
def test_a_vmdk_disk_of_several_files_is_converted_by_the_remedy(tmp_path, form):
    served, work = tmp_path / "served", tmp_path / "work"
    served.mkdir()
    work.mkdir()
    raw = converted(plain(tmp_path), "qcow2")
    options = ["-O", "vmdk", "-o", f"subformat={form}"]
    tool("qemu-img", "convert", *options, tmp_path / "plain.qcow2", served / "a disk.vmdk")
    with WebServer(served) as server:
        spec = spec_of("raw", {"type": "http", "url": server.url("/a%20disk.vmdk")})
        (error,) = inspect(spec, OPEN).errors
        tool("sh", "-c", error.remedy, cwd=work)
    assert error.code == "RAW_CONTAINER"
    assert contents(file_spec("qcow", work / shlex.split(error.remedy)[-1])) == raw


def test_encryption_is_seen(tmp_path):
    file, secret = tmp_path / "disk.qcow2", "secret,id=s,data=abcdef"
    options = "encrypt.format=aes,encrypt.key-secret=s"
    tool("qemu-img", "create", "-f", "qcow2", "--object", secret, "-o", options, file, "1M")
    assert problems(inspect(file_spec("qcow", file), OPEN)) == ["QCOW_ENCRYPTED"]


@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vhdx", "vdi", "qed"])
def test_another_format_taken_for_raw_is_seen(tmp_path, form):
    file = tmp_path / "disk.img"
    tool("qemu-img", "create", "-f", form, file, "4M")
    assert "RAW_CONTAINER" in problems(inspect(file_spec("raw", file), OPEN))


@contextmanager
def exported(file, *args):
    """A qemu-nbd that serves a file as it is until the end."""
    command = ["qemu-nbd", "-r", "-f", "raw", "--persistent", "--shared=4", *args, str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as server:
        try:
            yield server
        finally:
            server.terminate()
            server.wait(20)


def when_up(function):
    """What ``function`` returns once the server listens."""
    for _ in range(100):
        found = function()
        if problems(found)[:1] not in (["HOST_REFUSED"], ["FILE_MISSING"]):
            return found
        time.sleep(0.1)
    raise AssertionError("qemu-nbd did not come up")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("kind", ["raw", "qcow"])
@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_nbd(tmp_path, kind, where):
    file = plain(tmp_path)
    disk = converted(file, "qcow2")
    if kind == "raw":
        file = file.with_suffix(".converted")
    if where == "tcp":
        port = free_port()
        args = ["-x", "disk", "-b", "127.0.0.1", "-p", str(port)]
        uri = f"nbd://127.0.0.1:{port}/disk"
    else:
        args = ["-x", "disk", "-k", str(tmp_path / "nbd")]
        uri = f"nbd+unix:///disk?socket={tmp_path}/nbd"
    with exported(file, *args):
        spec = spec_of(kind, {"type": "nbd", "uri": uri})
        inspection = when_up(lambda: inspect(spec, OPEN))
        assert problems(inspection) == []
        assert inspection.size == 2 * MiB
        assert contents(spec) == disk
        other = spec_of(kind, {"type": "nbd", "uri": uri.replace("/disk", "/other")})
        (error,) = inspect(other, OPEN).errors
        assert error.code == "NBD_NO_EXPORT"
        assert "it has 'disk'" in error.message


@pytest.fixture(scope="module")
def bucket(cluster):
    """(the gateway's access, the content of ``imports/disk.raw``)."""
    access = cluster.s3()
    client = boto3.client(
        "s3",
        endpoint_url=access["endpoint"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        region_name="default",
        config=Config(s3={"addressing_style": "path"}),
    )
    disk = bytes(range(256)) * 4096
    client.create_bucket(Bucket="sources")
    client.put_object(Bucket="sources", Key="a folder/disk.raw", Body=disk)
    return access, disk


def s3_spec(access, path="/sources/a%20folder/disk.raw", **changes):
    stream = {
        "type": "s3",
        "url": access["endpoint"] + path,
        "access_key": access["access_key"],
        "secret_key": access["secret_key"],
        **changes,
    }
    return spec_of("raw", stream)


def test_an_object_of_a_real_gateway(cluster, bucket):
    access, disk = bucket
    spec = s3_spec(access)
    inspection = inspect(spec, OPEN)
    assert problems(inspection) == []
    assert inspection.size == len(disk)
    assert inspection.identity["stream"]["etag"]
    assert contents(spec) == disk
    cluster.ceph("config-key", "set", "test/s3", access["secret_key"])

    def resolve(key, url):
        assert url == access["endpoint"] + "/sources/a%20folder/disk.raw"
        return cluster.ceph("config-key", "get", key)

    referring = s3_spec(access, secret_key="config://test/s3")
    assert contents(referring, resolve=resolve) == disk


GATEWAY = [
    ({"path": "/nothing/disk.raw"}, "S3_NO_BUCKET"),
    ({"path": "/sources/nothing"}, "S3_NO_OBJECT"),
    ({"path": "/sources"}, "S3_NO_OBJECT"),
    ({"access_key": "NOBODY"}, "S3_ACCESS_KEY"),
    ({"secret_key": "WRONG"}, "S3_SECRET_KEY"),
]


@pytest.mark.parametrize(("changes", "code"), GATEWAY)
def test_refusals_of_a_real_gateway(bucket, changes, code):
    access, _ = bucket
    (error,) = inspect(s3_spec(access, **changes), OPEN).errors
    assert error.code == code
    assert access["secret_key"] not in error.message + error.remedy
    with pytest.raises(SourceError) as caught:
        contents(s3_spec(access, **changes))
    assert isinstance(caught.value, MigrationError)
    assert caught.value.problem == code
