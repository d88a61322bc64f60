"""Imports by copy of what is packed, signed, summed or read in order, the whole way.

Which format goes over which stream is tried without a cluster (``tests/unit/test_import_table``).
"""

import gzip
import hashlib
import lzma
import subprocess
import tarfile
import urllib.parse
from errno import EINVAL, ENOENT, EPERM, EPROTO

import boto3
import pytest
from botocore.config import Config

from qa.workload.certificate import certificate
from qa.workload.images import MIB, content
from qa.workload.module_options import module_options
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer
from tests.cluster.commands import is_one_sentence
from tests.cluster.importing import place, text  # noqa: F401 - a fixture

KEY = "rbd/migration-source/streams-ca"


@pytest.fixture(scope="module")
def disk(place):  # noqa: F811
    """A raw disk with data and holes, and its bytes."""
    path = place.folder / "streamed.raw"
    with open(path, "wb") as file:
        for number in range(0, 24, 3):
            file.seek(number * MIB)
            file.write(bytes([number + 1]) * (MIB + 4096))
        file.truncate(32 * MIB)
    return path, path.read_bytes()


def made(place, name, data):  # noqa: F811
    path = place.folder / name
    path.write_bytes(data)
    return path


def sum_of(path):
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


class Import:
    """Imports to targets of one pool."""

    def __init__(self, migration, pool):
        self.migration = migration
        self.pool = pool
        self._count = 0

    def begin(self, spec, **more):
        """Begin to import; the target."""
        self._count += 1
        target = f"{self.pool}/streamed{self._count}"
        more = {"verify": "full", "object_size": "256K", **more}
        self.migration.ask(
            "run", source_image=target, source_spec=text(spec), import_only=True, **more
        )
        return target


@pytest.fixture
def imports(migration, pool):
    return Import(migration, pool)


def test_packed_disks_are_what_was_packed(client, imports, place, disk):  # noqa: F811
    path, data = disk
    packed = made(place, "streamed.gz", gzip.compress(data, 1))
    xz = made(place, "streamed.xz", lzma.compress(data, preset=0))
    zst = place.folder / "streamed.zst"
    subprocess.run(["zstd", "-qf", str(path), "-o", str(zst)], check=True)
    vmdk = place.folder / "streamed.vmdk"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*convert, str(path), str(vmdk)], check=True)
    ova = place.folder / "streamed.ova"
    with tarfile.open(ova, "w") as tar:
        tar.add(vmdk, "web-disk1.vmdk")
    exported = place.folder / "streamed.tar.gz"  # as Google's cloud does it
    subprocess.run(
        ["tar", "--format=oldgnu", "-Sczf", str(exported), path.name], check=True, cwd=place.folder
    )
    qcow = made(place, "streamed.qcow2.xz", lzma.compress(qcow_of(path).read_bytes(), preset=0))
    twice = made(place, "streamed.ova.gz", gzip.compress(ova.read_bytes(), 1))
    place.http.behave(f"/{twice.name}", Behaviour(ranges=False))
    file, http = place.stream("file"), place.stream("http")
    size = {"size": len(data)}
    place.http.behave(f"/{path.name}", Behaviour(ranges=False))
    targets = [
        imports.begin({"type": kind, "stream": stream}, method="copy")
        for kind, stream in (
            ("raw", {**http(packed), "compression": "gzip", **size, "checksum": sum_of(packed)}),
            ("raw", {**file(xz), "compression": "xz"}),
            ("raw", {**http(zst), "compression": "zstd"}),
            ("raw", http(path)),
            ("raw", {**place.stream("nbd")(path), "checksum": sum_of(path)}),
            ("vmdk", {**file(ova), "member": "web-disk1.vmdk", "checksum": sum_of(ova)}),
            ("vmdk", {**http(ova), "member": "web-disk1.vmdk"}),
            (
                "raw",
                {
                    **http(exported),
                    "compression": "gzip",
                    "member": path.name,
                    "checksum": sum_of(exported),
                },
            ),
            ("qcow", {**http(qcow), "compression": "xz", "checksum": sum_of(qcow)}),
            ("vmdk", {**http(twice), "compression": "gzip", "member": "web-disk1.vmdk"}),
        )
    ]
    sampled = {**http(packed), "compression": "gzip", **size}
    targets.append(imports.begin({"type": "raw", "stream": sampled}, verify="sample"))
    for target in targets:
        report = imports.migration.wait(target, "committed")
        assert report["verification"]["outcome"] == "passed", target
        assert content(client, target) == data, target
    place.http.behave(f"/{path.name}", Behaviour())


def qcow_of(path):
    """A disk as a QCOW file next to it."""
    disk = path.with_suffix(".qcow2")
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(path), str(disk)]
    subprocess.run(convert, check=True)
    return disk


def test_what_is_put_into_a_file_leaves_nothing_behind(cluster, client, imports, place, disk):  # noqa: F811
    path, data = disk
    packed = made(place, "spooled.qcow2.gz", gzip.compress(qcow_of(path).read_bytes(), 1))
    spool = place.folder / "spool"
    spool.mkdir()
    stream = {**place.stream("file")(packed), "compression": "gzip"}
    with module_options(cluster, import_spool_folder=str(spool)):
        for point, number in (("external.taken", 2), ("mover.piece", 3)):
            (cluster.faults / point).write_text(str(number), encoding="ascii")
            target = imports.begin({"type": "qcow", "stream": stream})
            imports.migration.wait(target, "committed")
            assert not (cluster.faults / point).exists(), point  # a worker was killed there
            assert content(client, target) == data
            assert list(spool.iterdir()) == []


def test_what_is_cut_off_is_read_from_its_beginning(cluster, client, imports, place, disk):  # noqa: F811
    _, data = disk
    packed = made(place, "killed.gz", gzip.compress(data, 1))
    stream = {**place.stream("file")(packed), "compression": "gzip", "size": len(data)}
    for number in (1, 6):
        (cluster.faults / "mover.piece").write_text(str(number), encoding="ascii")
        target = imports.begin({"type": "raw", "stream": {**stream, "checksum": sum_of(packed)}})
        imports.migration.wait(target, "committed")
        assert not (cluster.faults / "mover.piece").exists()
        assert content(client, target) == data


def failed(cluster, migration, target):
    """The report of a migration that fails."""
    cluster.wait_for(lambda: migration.report(target)["failure"], 60, "the failure")
    return migration.report(target)


def test_another_checksum_fails_and_what_was_copied_is_corrected(
    cluster,
    client,
    imports,
    pool,
    place,  # noqa: F811
    disk,
):
    """The file is damaged at first; then it is exchanged for the right one."""
    _, data = disk
    damaged = bytes([99]) * (8 * MIB) + data[8 * MIB :]
    path = made(place, "repaired.raw", damaged)
    wanted = f"sha256:{hashlib.sha256(data).hexdigest()}"
    spec, migration = {"type": "raw", "stream": place.stream("file")(path)}, imports.migration
    target = f"{pool}/summed"
    migration.text(
        "run", target, "--import-only", "--source-spec", text(spec), "--checksum", wanted
    )
    report = failed(cluster, migration, target)
    assert (report["failure"]["code"], report["executed"]) == ("EBADMSG", None)
    assert is_one_sentence(report["failure"]["message"])
    assert hashlib.sha256(damaged).hexdigest() in report["failure"]["message"]
    assert report["checksums"] == [{"stream": "stream", "checksum": wanted, "compared": False}]
    assert migration.raw("commit", target).returncode != 0
    path.write_bytes(data)
    migration.text("retry", target)
    cluster.wait_for(lambda: migration.report(target)["executed"], 60, "the end of the copy")
    assert content(client, target) == data
    assert migration.report(target)["checksums"][0]["compared"]
    assert f"{wanted} (compared)" in migration.text("status", target)


def test_another_checksum_of_a_disk_that_is_read_in_any_order(
    cluster,
    client,
    imports,
    place,  # noqa: F811
    disk,
):
    path = place.folder / "summed.qcow2"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(disk[0]), str(path)]
    subprocess.run(convert, check=True)
    right, stream = sum_of(path), place.stream("http")(path)
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    target = imports.begin({"type": "qcow", "stream": stream}, checksum=wrong)
    report = failed(cluster, imports.migration, target)
    assert report["failure"]["code"] == "EBADMSG"
    assert report["bytes_copied"] == 0
    assert set(content(client, target)) == {0}  # nothing was copied
    imports.migration.text("abort", target)
    target = imports.begin({"type": "qcow", "stream": stream}, checksum=right)
    imports.migration.wait(target, "committed")
    assert content(client, target) == disk[1]


def test_the_check_says_what_it_costs(migration, pool, place, disk):  # noqa: F811
    stream = {**place.stream("file")(disk[0]), "checksum": sum_of(disk[0])}
    found = migration.ask(
        "check", source_image=f"{pool}/x", import_only=True,
        source_spec=text({"type": "raw", "stream": stream}),
    )  # fmt: skip
    assert (found["ok"], found["method"]) == (True, "copy")
    assert "SOURCE_IN_ORDER" in {f["code"] for f in found["findings"]}
    said = migration.refused(
        EINVAL, "check", f"{pool}/x", "--import-only", "--method", "live", "--source-spec",
        text({"type": "raw", "stream": stream}),
    )  # fmt: skip
    assert "librbd does not compare a checksum" in said


# -- S3 -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(cluster):
    """A client of the gateway, and the keys, with a bucket ``streams``."""
    if not cluster.layout.s3.exists():
        pytest.skip("the cluster has no object gateway")
    access = cluster.s3()
    client = boto3.client(
        "s3",
        endpoint_url=access["endpoint"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        region_name="default",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="streams")
    return client, access


ODD = "a folder/d\u00efsk+1 (50%)?#;&=~'.raw"


def test_s3_with_any_name_and_a_signed_url(client, imports, place, bucket, disk):  # noqa: F811
    service, access = bucket
    path, data = disk
    service.upload_file(str(path), "streams", ODD)
    url = f"{access['endpoint']}/streams/{urllib.parse.quote(ODD)}"
    keys = {name: access[name] for name in ("access_key", "secret_key")}
    signed = service.generate_presigned_url(
        "get_object", Params={"Bucket": "streams", "Key": ODD}, ExpiresIn=600
    )
    vmdk = place.folder / "in-s3.vmdk"
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", str(path), str(vmdk)]
    subprocess.run(convert, check=True)
    service.upload_file(str(vmdk), "streams", vmdk.name)
    place_of_vmdk = f"{access['endpoint']}/streams/{vmdk.name}"
    targets = [
        imports.begin({"type": "raw", "stream": {"type": "s3", "url": url, **keys}}, method="copy"),
        imports.begin(
            {"type": "raw", "stream": {"type": "s3", "url": url, **keys, "region": "default",
                                       "checksum": sum_of(path)}}
        ),
        imports.begin({"type": "raw", "stream": {"type": "http", "url": signed}}),
        imports.begin({"type": "vmdk", "stream": {"type": "s3", "url": place_of_vmdk, **keys}}),
    ]  # fmt: skip
    for target in targets:
        report = imports.migration.wait(target, "committed")
        assert report["verification"]["outcome"] == "passed"
        assert content(client, target) == data
        assert "Signature" not in str(report)
        assert access["secret_key"] not in str(report)


def test_s3_that_refuses(migration, pool, bucket):
    service, access = bucket
    service.put_object(Bucket="streams", Key="small", Body=b"x" * 4096)

    def said(code, path, **more):
        stream = {
            "type": "s3",
            "url": f"{access['endpoint']}{path}",
            "access_key": access["access_key"],
            "secret_key": access["secret_key"],
            **more,
        }
        spec = text({"type": "raw", "stream": stream})
        args = ("--import-only", "--method", "copy", "--source-spec", spec)
        return migration.refused(code, "prepare", f"{pool}/x", *args)

    assert "has no object" in said(ENOENT, "/streams/none")
    assert "has no bucket" in said(ENOENT, "/none/none")
    assert "it is a bucket" in said(ENOENT, "/streams")
    assert "secret key does not belong" in said(EPERM, "/streams/small", secret_key="wrong")
    assert "does not know the access key" in said(EPERM, "/streams/small", access_key="NOBODY")


def test_an_authority_of_its_own(cluster, client, imports, place, disk, tmp_path):  # noqa: F811
    path, data = disk
    pair = certificate(tmp_path)
    cluster.ceph("config-key", "set", KEY, "-i", str(pair[0]))
    try:
        with WebServer(place.folder, certificate=pair) as server:
            stream = {"type": "http", "url": server.url(f"/{path.name}", "localhost")}
            bare = text({"type": "raw", "stream": stream})
            said = imports.migration.refused(
                EPROTO, "prepare", f"{imports.pool}/x", "--import-only", "--method", "copy",
                "--source-spec", bare,
            )  # fmt: skip
            assert "is not trusted" in said
            target = imports.begin({"type": "raw", "stream": {**stream, "ca": f"config://{KEY}"}})
            imports.migration.wait(target, "committed")
            assert content(client, target) == data
    finally:
        cluster.ceph("config-key", "rm", KEY)
