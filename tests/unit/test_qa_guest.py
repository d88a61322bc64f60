"""The test guest of ``qa/guest``, without QEMU: its console, its archive and QEMU's arguments."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from qa.guest import build, machine
from qa.guest.console import DiskReport, complaints, reports
from qa.guest.errors import GuestError
from qa.guest.initramfs import archive
from qa.guest.machine import GuestOptions, Machine, RbdDisk

CONSOLE = """\
SeaBIOS\r
disk /dev/vda seconds=1 found=64 writes=9 wrong=0 errors=0 longest=0.010\r
wrong block /dev/vda lane 1 block 7: wanted 12, got 3\r
disk /dev/vda seconds=2 found=64 writes=20 wrong=1 errors=2 longest=1.250\r
disk /dev/vdb seconds=2 found=0 writes=21 wrong=0 errors=0 longest=0.020\r
disk /dev/vda seconds=3 fou"""


def test_the_last_whole_line_of_each_disk_counts():
    found = reports(CONSOLE)
    assert found == {
        "/dev/vda": DiskReport("/dev/vda", 2, 64, 20, 1, 2, 1.25),
        "/dev/vdb": DiskReport("/dev/vdb", 2, 0, 21, 0, 0, 0.02),
    }
    assert [report.clean for report in found.values()] == [False, True]


def test_complaints_are_found():
    assert complaints(CONSOLE) == ["wrong block /dev/vda lane 1 block 7: wanted 12, got 3"]


def test_the_archive_has_folders_before_files_and_ends_with_its_trailer():
    data = gzip.decompress(archive({"init": b"program", "modules/order": b"a.ko\n"}))
    names, at = [], 0
    while not names or names[-1] != "TRAILER!!!":
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        size, length = fields[6], fields[11]
        names.append(data[at + 110 : at + 110 + length - 1].decode())
        at += -(-(110 + length) // 4) * 4 + -(-size // 4) * 4
    assert names == ["init", "modules", "modules/order", "TRAILER!!!"]
    assert at == len(data)


@pytest.mark.parametrize(
    ("kernel", "modules", "pack"),
    [
        ("boot/vmlinuz-6.1", "lib/modules/6.1", None),
        ("boot/vmlinuz-6.12", "usr/lib/modules/6.12", lzma.compress),
        ("usr/lib/modules/7.2/vmlinuz", "usr/lib/modules/7.2", lzma.compress),
    ],
    ids=["Debian 12", "Debian 13", "Debian 14"],
)
def test_a_module_comes_after_what_it_needs(tmp_path, monkeypatch, kernel, modules, pack):
    tree, taken = tmp_path / "unpacked", tmp_path / "taken"
    contents = {
        "high": b"ELF\0depends=low,built-in\0x",
        "low": b"\0depends=lo-west\0",
        "lo-west": b"\0depends=\0",
        "other": b"\0depends=low\0",
    }
    (tree / modules).mkdir(parents=True)
    (tree / kernel).parent.mkdir(parents=True, exist_ok=True)
    (tree / kernel).write_bytes(b"kernel")
    for name, content in contents.items():
        path = tree / modules / (f"{name}.ko.xz" if pack else f"{name}.ko")
        path.write_bytes(pack(content) if pack else content)
    monkeypatch.setattr(build, "_MODULES", ("high",))
    build.take(tree, taken)
    assert {path.name: path.read_bytes() for path in taken.iterdir()} == {
        "vmlinuz": b"kernel",
        "00-lo_west.ko": contents["lo-west"],
        "01-low.ko": contents["low"],
        "02-high.ko": contents["high"],
    }


def test_packages_without_a_kernel_are_refused(tmp_path):
    (tmp_path / "unpacked").mkdir()
    with pytest.raises(GuestError, match="contains no file vmlinuz"):
        build.take(tmp_path / "unpacked", tmp_path / "taken")


@pytest.mark.parametrize(
    ("disk", "backend", "device"),
    [
        (RbdDisk("p", "i"), ["disk0"], "virtio-blk-pci,drive=disk0,id=device0"),
        (RbdDisk("p", "i", layer="raw"), ["disk0", "disk0-raw"], "drive=disk0-raw"),
        (RbdDisk("p", "i", layer="inline"), ["disk0-raw"], "drive=disk0-raw"),
        (RbdDisk("p", "i", device="virtio-scsi"), ["disk0"], "scsi-hd,bus=scsi0.0,drive=disk0"),
        (RbdDisk("p", "i", iothread=True), ["disk0"], "iothread=thread0"),
    ],
)
def test_the_disks_of_the_command_line(tmp_path, monkeypatch, disk, backend, device):
    parts = build.Parts(Path("/kernel"), Path("/initramfs"))
    monkeypatch.setattr(machine, "build", lambda: parts)
    made = Machine(tmp_path, Path("/c.conf"), GuestOptions((disk,)), env={}, mark="/c")
    command = made.command()
    nodes = [json.loads(command[i + 1]) for i, word in enumerate(command) if word == "-blockdev"]
    assert [node["node-name"] for node in nodes] == backend
    assert any(device in word for word in command)


def test_a_folder_with_a_path_too_long_for_a_socket_is_refused(tmp_path):
    with pytest.raises(machine.GuestError, match="too long"):
        Machine(tmp_path / ("x" * 100), Path("/c"), GuestOptions(()), env={}, mark="/c")
