"""Commands in the remedies of sources: over a web server they work on the fetched file."""

import json

import pytest

from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import conversion, inspect
from tests.unit.qcow_files import Qcow

FILE = {"type": "file", "file_path": "/srv/my disk.img"}
HTTP = {"type": "http", "url": "http://h/a/disk.img"}


def stream_of(value):
    spec = parse_source_spec(json.dumps({"type": "raw", "stream": value}))
    assert spec.stream is not None
    return spec.stream


@pytest.mark.parametrize(
    ("value", "begin", "end"),
    [
        (FILE, "qemu-img convert --object secret", "'/srv/my disk.import.qcow2'"),
        (HTTP, "curl -fLo disk.img http://h/a/disk.img && qemu-img convert ", " disk.import.qcow2"),
    ],
)
def test_a_disk_is_decrypted_where_it_is(value, begin, end):
    command = conversion.decrypt(stream_of(value), "qcow2")
    assert command.startswith(begin)
    assert command.endswith(end)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/disk.img", "disk.img"),
        ("http://h/my%20disk.img", "'my disk.img'"),
        ("http://h/..%2F..%2Fetc", "..%2F..%2Fetc"),
        ("http://h/%0Ax", "%0Ax"),
        ("http://h/a/..", "image"),
        ("http://h/", "h"),
    ],
)
def test_the_name_of_a_copy(url, name):
    assert conversion.copied(url) == f"curl -fLo {name} {url}"


def test_files_that_a_disk_names_are_found_next_to_a_file_only():
    assert conversion.convert_in_place(stream_of(HTTP), "vmdk") == ""
    assert conversion.convert_in_place(stream_of(FILE), "vmdk") == (
        "cd /srv && qemu-img convert -f vmdk -O qcow2 './my disk.img' './my disk.import.qcow2'"
    )


@pytest.mark.parametrize(
    ("made", "kind", "remedy"),
    [
        (Qcow(size=60001).build(), "qcow", "qemu-img resize {} 60416"),
        (Qcow(features=2).build(), "qcow", "qemu-img check -r all {}"),
        (b"# Disk DescriptorFile" + bytes(491), "raw", '"type": "vmdk"'),
        (b"vhdxfile" + bytes(504), "raw", '"type": "vhdx"'),
        (bytes(1024) + b"conectix" + bytes(504), "raw", '"type": "vpc"'),
        (
            b"QED\0" + bytes(508),
            "raw",
            "qemu-img convert -f qed -O qcow2 {0} {0.parent}/disk.import.qcow2",
        ),
    ],
    ids=["size", "corrupt", "descriptor", "vhdx", "vhd", "qed"],
)
def test_the_remedy_of_a_file(tmp_path, made, kind, remedy):
    file = tmp_path / "disk.img"
    file.write_bytes(made)
    stream = {"type": "file", "file_path": str(file)}
    spec = parse_source_spec(json.dumps({"type": kind, "stream": stream}))
    found = inspect(spec, ImportPolicy(folders=("/",)))
    assert remedy.format(file) in [finding.remedy for finding in found.findings]
