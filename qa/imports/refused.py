"""Kinds of QCOW files that librbd does not read, and that a remedy makes importable."""

from collections.abc import Callable
from pathlib import Path

from qa.workload.encrypted import retried_until_measured
from qa.workload.sources import KIB, qemu

from .disk import PASSPHRASE, Disk, Maker, as_qemu_reads

_SIZE, _FEATURES = 24, 72  # offsets in the header of versions 2 and 3


def change_header(path: Path, offset: int, value: bytes) -> None:
    """Overwrite bytes of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)


def _compressed(maker: Maker) -> Disk:
    options = ("compression_type=zlib", "compression_type=zstd", "compat=0.10")
    option = maker.chance.choice(options)
    path, content = maker.converted("qcow2", "disk.qcow2", "-c", "-o", option)
    return maker.disk("qcow", path, {"": content})


def _extended(maker: Maker) -> Disk:
    size = maker.chance.choice(["16k", "128k"])
    options = ("-o", f"extended_l2=on,cluster_size={size}")
    path, content = maker.converted("qcow2", "disk.qcow2", *options)
    return maker.disk("qcow", path, {"": content})


def _backing(maker: Maker) -> Disk:
    """A chain of two or three files."""
    form, compressed = maker.chance.choice([("raw", ()), ("qcow2", ()), ("qcow2", ("-c",))])
    base, content = maker.converted(form, f"base.{form}", *compressed)
    disk = bytearray(content)
    for number in range(maker.chance.choice([1, 2])):
        above = maker.folder / f"above{number}.qcow2"
        backing = ("-b", base.name, "-F", form)
        qemu("img", "create", "-q", "-f", "qcow2", *backing, above.name, cwd=maker.folder)
        at = maker.chance.randrange(0, len(disk) - 4 * KIB, 512)
        write = f"write -P {number + 5} {at} 4k"
        qemu("io", "-f", "qcow2", "-c", write, above.name, cwd=maker.folder)
        disk[at : at + 4 * KIB] = bytes([number + 5]) * (4 * KIB)
        base, form = above, "qcow2"
    return maker.disk("qcow", base, {"": bytes(disk)})


def _data_file(maker: Maker) -> Disk:
    options = "data_file=disk.data" + maker.chance.choice(["", ",data_file_raw=on"])
    path, content = maker.converted("qcow2", "disk.qcow2", "-o", options)
    return maker.disk("qcow", path, {"": content})


def _encrypted(maker: Maker) -> Disk:
    """The remedy's file PASSPHRASE is made when it is followed."""
    how = maker.chance.choice(["luks,encrypt.iter-time=10", "aes"])
    secret = ("--object", f"secret,id=s,data={PASSPHRASE}")
    options = (*secret, "-o", f"encrypt.format={how},encrypt.key-secret=s")
    path, content = retried_until_measured(lambda: maker.converted("qcow2", "disk.qcow2", *options))
    return maker.disk("qcow", path, {"": content})


def _zeroed(maker: Maker) -> Disk:
    """Clusters that were zeroed and kept their place."""
    path, views = maker.qcow(maker.chance.choice(["qcow3", "qcow3-snapshots"]))
    for command in ("write -P 7 0 64k", "write -z 0 64k"):
        qemu("io", "-f", "qcow2", "-c", command, str(path))
    content = as_qemu_reads(path, "qcow2")
    assert content is not None
    return maker.disk("qcow", path, {**views, "": content})


def _marked(maker: Maker) -> Disk:
    """The marks of a file that was not closed, or was found to be corrupt."""
    path, views = maker.qcow("qcow3")
    change_header(path, _FEATURES + 7, bytes([maker.chance.choice([1, 2])]))
    return maker.disk("qcow", path, views)


def _odd_size(maker: Maker) -> Disk:
    """A disk whose size is no multiple of 512."""
    path, views = maker.qcow("qcow3")
    size = len(views[""]) - maker.chance.randrange(1, 512)
    # A resize brings back what is behind the end.
    qemu("io", "-f", "qcow2", "-c", f"write -P 0 {size} {len(views['']) - size}", str(path))
    change_header(path, _SIZE, size.to_bytes(8, "big"))
    return maker.disk("qcow", path, {"": views[""][:size]})


REFUSED: "dict[str, Callable[[Maker], Disk]]" = {
    "qcow2, compressed": _compressed,
    "qcow2, extended L2": _extended,
    "qcow2, backing file": _backing,
    "qcow2, data file": _data_file,
    "qcow2, encrypted": _encrypted,
    "qcow2, zeroed in place": _zeroed,
    "qcow2, marked": _marked,
    "qcow2, odd size": _odd_size,
}
