"""VMDK disks of ESX, which QEMU does not write: what is read is what they were made of."""

import contextlib
import shutil
import struct

import pytest

from qa.hostile.judge import SECONDS, one_sentence
from qa.hostile.reader import used
from qa.workload import esx_disks
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.sources import SourceError
from rbdmigrate.sources.copying import inspect_copied
from tests.unit.qemu_disks import MIB, converted, problem, read_all, source

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="needs qemu-utils"),
]


def vmfs_sparse(data, content):
    esx_disks.vmfs_sparse(data, content)
    return "vmfsSparse"


def vmfs_sparse_large_grains(data, content):
    esx_disks.vmfs_sparse(data, content, grain=128)
    return "vmfsSparse"


def se_sparse(data, content):
    """Also grains that are zeroed, and unmapped."""
    esx_disks.se_sparse(data, content, zeroed=(1 << 10, (1 << 10) + 1, 4000))
    return "seSparse"


def esx_disk(write, folder, content):
    """A disk of ESX: its descriptor, and the file with its data."""
    path, data = folder / "disk.vmdk", folder / "disk-delta.vmdk"
    esx_disks.describe(path, write(data, content), data, content)
    return path, data


@pytest.mark.parametrize("write", [vmfs_sparse, vmfs_sparse_large_grains, se_sparse])
def test_disks_of_esx(write, base, tmp_path):
    content = base.read_bytes() + bytes(2 * MIB) + base.read_bytes()  # more than one table
    path, data = esx_disk(write, tmp_path, content)
    with source(path, "vmdk").open(None) as disk:
        assert read_all(disk) == converted(path, "vmdk") == content
        found = sum(length for _, length in disk.extents(0, disk.size))
        assert found < len(content) // 2
    alone = problem(source(data, "vmdk"))
    assert alone.code == "VMDK_EXTENT"
    assert "give the descriptor" in alone.message


@pytest.mark.parametrize("write", [vmfs_sparse, se_sparse])
def test_a_snapshot_of_esx_and_its_parent(write, base, tmp_path):
    """What was written since, over the flat file of before."""
    before, since = base.read_bytes(), bytearray(base.stat().st_size)
    since[MIB : 2 * MIB] = bytes([7]) * MIB
    (tmp_path / "first-flat.vmdk").write_bytes(before)
    esx_disks.describe(tmp_path / "first.vmdk", "vmfs", tmp_path / "first-flat.vmdk", before)
    path, data = tmp_path / "disk.vmdk", tmp_path / "disk-delta.vmdk"
    esx_disks.describe(path, write(data, bytes(since)), data, before, "first.vmdk")
    with source(path, "vmdk").open(None) as disk:
        wanted = converted(path, "vmdk")
        assert read_all(disk) == wanted
    assert wanted[MIB : 2 * MIB] == since[MIB : 2 * MIB]
    assert wanted[:MIB] == before[:MIB]


def test_an_empty_line_before_an_extent(base, tmp_path):
    """QEMU 7.2 reads the extent twice then."""
    path, _ = esx_disk(vmfs_sparse, tmp_path, base.read_bytes())
    path.write_text(path.read_text().replace("\nRW ", "\n \n\nRW "))
    with source(path, "vmdk").open(None) as disk:
        assert read_all(disk) == base.read_bytes()


#: Offset, form of struct, and value of fields of the files with the data of disks of ESX.
ESX_FAULTS = [
    (vmfs_sparse, 12, "<I", 0),  # sectors of the disk
    (vmfs_sparse, 12, "<I", 0xFFFFFFFF),
    (vmfs_sparse, 16, "<I", 0),  # sectors of a grain
    (vmfs_sparse, 16, "<I", 1 << 21),
    (vmfs_sparse, 20, "<I", 0xFFFFFFFF),  # directory
    (vmfs_sparse, 24, "<I", 0xFFFFFFFF),  # its length
    (vmfs_sparse, 2048, "<I", 0xFFFFFFF0),  # the first table
    (se_sparse, 0, "<Q", 0xBEBAFECA),
    (se_sparse, 8, "<Q", 3 << 32),  # version
    (se_sparse, 16, "<Q", 0),  # sectors of the disk
    (se_sparse, 16, "<Q", 1 << 63),
    (se_sparse, 24, "<Q", 1 << 40),  # sectors of a grain
    (se_sparse, 32, "<Q", 1 << 40),  # sectors of a table
    (se_sparse, 80, "<Q", 1 << 60),  # the volatile header
    (se_sparse, 128, "<Q", 1 << 54),  # directory
    (se_sparse, 136, "<Q", 1 << 54),  # its length
    (se_sparse, 136, "<Q", 1 << 18),
    (se_sparse, 144, "<Q", 1 << 54),  # tables
    (se_sparse, 192, "<Q", 1 << 54),  # grains
    (se_sparse, 512 + 24, "<Q", 1),  # a journal to be replayed
    (se_sparse, 1024, "<Q", 1 << 60 | 0xFFFFFFFF),  # the first table
    (se_sparse, 8192, "<Q", 3 << 60 | 0xFFFFFFFF),  # the first grain
    (se_sparse, 8192, "<Q", 9 << 60),
]


@pytest.mark.parametrize(("write", "offset", "form", "value"), ESX_FAULTS)
def test_faulty_disks_of_esx(write, offset, form, value, base, tmp_path):
    path, data = esx_disk(write, tmp_path, base.read_bytes())
    changed = bytearray(data.read_bytes())
    struct.pack_into(form, changed, offset, value)
    data.write_bytes(changed)
    begin = used()
    found = inspect_copied(source(path, "vmdk").spec, ImportPolicy(folders=(str(tmp_path),)))
    if found.errors:
        assert one_sentence(problem(source(path, "vmdk")).message)
    elif found.size < 64 * MIB:
        with source(path, "vmdk").open(None) as disk, contextlib.suppress(SourceError):
            read_all(disk)
    assert used() - begin < 2 * SECONDS  # it was looked at twice, or read too
