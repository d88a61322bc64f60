"""Disks of blocks that are read in the file itself: the bytes are those that QEMU reads."""

import os
import shutil
import struct
import threading

import pytest

from tests.unit.qemu_disks import MIB, converted, read_all, source, tool

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils"),
]

BLOCKS = {
    "vhdx": ("subformat=dynamic,block_size=1M", 1 << 20),
    "vpc": ("force_size=on", 2 << 20),
    "vdi": ("static=off", 1 << 20),
    "parallels": ("cluster_size=1M", 1 << 20),
}
BLOCK_WRITES = (0, 4 << 20, 4095 << 20, (4096 << 20) - 512, 4097 << 20, 9 << 30, (10 << 30) - 512)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_that_a_file_does_not_have_are_not_read(kind, whole, tmp_path):
    """Beyond 4 GiB the table of VHDX has entries that are for no blocks.

    ``whole``: the file has no holes.
    """
    path, (options, block) = tmp_path / f"disk.{kind}", BLOCKS[kind]
    tool("qemu-img", "create", "-q", "-f", kind, "-o", options, path, "10G")
    writes = [f"write -P {number} {at} 512" for number, at in enumerate(BLOCK_WRITES, 1)]
    tool("qemu-io", "-f", kind, *(f"-c{write}" for write in writes), path)
    if whole:
        tool("cp", "--sparse=never", path, tmp_path / "copy")
        (tmp_path / "copy").rename(path)
    with source(path, kind).open(None) as disk:
        found = list(disk.extents(0, disk.size))
        each = block if whole or kind == "vdi" else 65536  # QEMU writes all of a block of VDI
        assert sum(length for _, length in found) <= len(BLOCK_WRITES) * each
        for number, at in enumerate(BLOCK_WRITES, 1):
            assert any(begin <= at and at + 512 <= begin + length for begin, length in found)
            assert disk.read(at, 512) == bytes([number]) * 512
        assert list(disk.extents(2 << 20, 1 << 20)) == []
        assert sum(length for _, length in disk.extents(at, 512)) == 512


def read_as_a_copy_does(disk, step):
    """The disk by its extents, in pieces of ``step`` bytes at most."""
    found, waiting = bytearray(disk.size), []
    for offset, length in disk.extents(0, disk.size):
        for begin in range(offset, offset + length, step):
            size = min(step, offset + length - begin)
            waiting.append((begin, size, threading.Event(), []))
    for begin, size, ended, answer in waiting:

        def done(errno, content, ended=ended, answer=answer):
            answer += [errno, content]
            ended.set()

        disk.begin_read(begin, size, done)
    for begin, size, ended, answer in waiting:
        assert ended.wait(20)
        errno, content = answer
        assert (errno, len(content)) == (0, size)
        found[begin : begin + size] = content
    return bytes(found)


def block_disk(kind, path):
    """A disk of blocks; some of them are not where they would be without a block before them."""
    options = ("-o", "force_size=on") if kind == "vpc" else ()
    tool("qemu-img", "create", "-q", "-f", kind, *options, path, "24M")
    for at in (20, 3, 4, 11, 0):
        tool("qemu-io", "-f", kind, "-c", f"write -P {at + 1} {at}M 1300k", path)


def without_qemu(disk, monkeypatch):
    """Have reads that ask QEMU fail; those that were asked for."""
    asked = []

    def read(offset, length, done):
        asked.append((offset, length))
        done(5, b"")

    monkeypatch.setattr(disk.client, "read", read)
    return asked


@pytest.mark.parametrize("step", [4 * MIB, 100 << 10, 49999])
@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_are_read_in_the_file_itself(kind, step, tmp_path, monkeypatch):
    path = tmp_path / "disk"
    block_disk(kind, path)
    with source(path, kind).open(None) as disk:
        wanted = read_all(disk)
        assert wanted == converted(path, kind)
        asked = without_qemu(disk, monkeypatch)
        assert read_as_a_copy_does(disk, step) == wanted
        assert asked == []


@pytest.mark.parametrize("kind", BLOCKS)
def test_what_the_map_does_not_tell_is_read_by_qemu(kind, tmp_path):
    """Holes, and a file that was cut off after it was opened."""
    path = tmp_path / "disk"
    block_disk(kind, path)
    with source(path, kind).open(None) as disk:
        wanted = read_all(disk)
        answers, ended = [], threading.Event()

        def done(errno, content):
            answers.append((errno, content))
            ended.set()

        disk.begin_read(0, 10 * MIB, done)  # blocks that are there, and others
        assert ended.wait(20)
        assert answers == [(0, wanted[: 10 * MIB])]
        for offset, length in disk.extents(0, disk.size):
            os.truncate(path, path.stat().st_size // 2)
            by_qemu = disk.read(offset, length)
            ended.clear()
            disk.begin_read(offset, length, done)
            assert ended.wait(20)
            assert answers[-1] == (0, by_qemu)


def test_an_old_parallels_disk_counts_sectors(tmp_path, monkeypatch):
    """In the entries of its table; QEMU writes those that count blocks."""
    path = tmp_path / "disk"
    block_disk("parallels", path)
    data = bytearray(path.read_bytes())
    sectors, entries = struct.unpack_from("<II", data, 28)
    places = struct.unpack_from(f"<{entries}I", data, 64)
    struct.pack_into(f"<{entries}I", data, 64, *(place * sectors for place in places))
    data[:16] = b"WithoutFreeSpace"
    old = tmp_path / "old"
    old.write_bytes(data)
    with source(old, "parallels").open(None) as disk:
        wanted = converted(path, "parallels")
        assert read_all(disk) == wanted == converted(old, "parallels")
        asked = without_qemu(disk, monkeypatch)
        assert read_as_a_copy_does(disk, MIB) == wanted
        assert asked == []
