"""Small good disks of every format, from which faulty ones are made."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Base:
    """A disk: the ``type`` of its source-spec, QEMU's name of the format, and its options.

    ``snapshot``: it has an internal one. ``regions``: where headers and tables are, as offsets and
    lengths; negative ones from the end.
    """

    type: str
    qemu: str
    options: "tuple[str, ...]" = ()
    regions: "tuple[tuple[int, int], ...]" = ((0, 512),)
    snapshot: bool = False


BASES = {
    "qcow2": Base("qcow", "qcow2", ("-o", "cluster_size=4k"), ((0, 256), (4096, 16384))),
    "qcow2-snapshot": Base(
        "qcow", "qcow2", ("-o", "cluster_size=4k"), ((0, 256), (4096, 16384), (-32768, 32768)), True
    ),
    "qcow2-zlib": Base("qcow", "qcow2", ("-c", "-o", "cluster_size=4k"), ((0, 256), (4096, 16384))),
    "qcow2-zstd": Base("qcow", "qcow2", ("-c", "-o", "compression_type=zstd"), ((0, 1024),)),
    "qcow2-extended": Base("qcow", "qcow2", ("-o", "extended_l2=on"), ((0, 256), (196608, 9999))),
    "qcow": Base("qcow", "qcow", (), ((0, 128),)),
    "vmdk": Base("vmdk", "vmdk", (), ((0, 128), (512, 1024), (10240, 8192))),
    "vmdk-stream": Base(
        "vmdk", "vmdk", ("-o", "subformat=streamOptimized"), ((0, 128), (512, 1024), (-1536, 1536))
    ),
    "vmdk-flat": Base("vmdk", "vmdk", ("-o", "subformat=monolithicFlat"), ((0, 400),)),
    "vhdx": Base(
        "vhdx",
        "vhdx",
        ("-o", "block_size=1M"),
        ((64 * KIB, 80), (128 * KIB, 80), (192 * KIB, 96), (2 * MIB, 600), (3 * MIB, 256)),
    ),
    "vpc": Base("vpc", "vpc", (), ((0, 80), (512, 80), (1536, 64), (-512, 80))),
    "vpc-fixed": Base("vpc", "vpc", ("-o", "subformat=fixed,force_size=on"), ((-512, 80),)),
    "vdi": Base("vdi", "vdi", (), ((64, 448), (512, 64))),
    "parallels": Base("parallels", "parallels", (), ((0, 128),)),
}


def raw_disk(path: Path) -> None:
    """Make a raw disk of 4 MiB with data, zeros and holes."""
    with path.open("wb") as file:
        for number in range(4):
            file.seek(number * MIB)
            file.write(bytes(range(1, 256)) * 257 + bytes(8192) + bytes([number + 1]) * 4096)
        file.truncate(4 * MIB)


def make(base: Base, raw: Path, path: Path) -> None:
    """Make the disk of a base at ``path``. A file that it names is next to it."""
    command = ["qemu-img", "convert", "-f", "raw", "-O", base.qemu, *base.options, str(raw)]
    run([*command, path.name], path.parent)
    if base.snapshot:
        run(["qemu-img", "snapshot", "-c", "one", path.name], path.parent)


def run(command: "list[str]", folder: Path) -> None:
    """Run a tool in a folder; it has to succeed."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
