"""Kinds of files of other formats: declared raw, or by the names of their formats."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from .disk import Disk, Maker, as_qemu_reads

# Formats by their names in qemu-img, with options for each of their variants.
_FORMATS: "dict[str, tuple[str, ...]]" = {
    "vmdk": ("subformat=monolithicSparse", "subformat=streamOptimized", "subformat=monolithicFlat"),
    "vhdx": ("subformat=dynamic", "subformat=fixed"),
    "vdi": ("static=off", "static=on"),
    "vpc": ("subformat=dynamic", "subformat=fixed,force_size=on"),
    "qed": ("cluster_size=64k",),
    "parallels": ("cluster_size=1M",),
}
_NAMED = {"vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "qed": "qed"}
_PACK: "dict[str, tuple[str, ...]]" = {
    "gz": ("gzip", "-k"),
    "xz": ("xz", "-k"),
    "bz2": ("bzip2", "-k"),
    "zst": ("zstd", "-q"),
    "zip": ("zip", "-q", "disk.raw.zip"),
    "tar": ("tar", "-cf", "disk.raw.tar"),
}


def _made(maker: Maker, form: str) -> "tuple[Path, bytes]":
    options = maker.chance.choice(_FORMATS[form])
    path, content = maker.converted(form, f"disk.{form}", "-o", options)
    inside = as_qemu_reads(path, form)  # some formats round the size
    assert inside is not None
    assert inside.startswith(content)
    return path, inside


def _declared_raw(form: str) -> "Callable[[Maker], Disk]":
    def make(maker: Maker) -> Disk:
        path, inside = _made(maker, form)
        spec = {"type": "raw", "stream": maker.stream(path)}
        return Disk(spec, {"": path.read_bytes()}, {"": inside})

    return make


def _qcow_declared_raw(maker: Maker) -> Disk:
    compressed = maker.chance.choice([(), ("-c",)])
    path, inside = maker.converted("qcow2", "disk.qcow2", *compressed)
    spec = {"type": "raw", "stream": maker.stream(path)}
    return Disk(spec, {"": path.read_bytes()}, {"": inside})


def _packed(maker: Maker) -> Disk:
    """A raw disk that a tool packed or compressed."""
    path, content = maker.raw()
    suffix = maker.chance.choice(list(_PACK))
    command = [*_PACK[suffix], path.name]
    subprocess.run(command, cwd=maker.folder, check=True, capture_output=True, timeout=60)
    path.unlink()
    packed = maker.folder / f"disk.raw.{suffix}"
    spec = {"type": "raw", "stream": maker.stream(packed)}
    return Disk(spec, {"": packed.read_bytes()}, {"": content})


def _named(maker: Maker) -> Disk:
    """The format's name as the type of the source."""
    name = maker.chance.choice(list(_NAMED))
    path, inside = _made(maker, _NAMED[name])
    return maker.disk(name, path, {"": inside})


FOREIGN: "dict[str, Callable[[Maker], Disk]]" = {
    **{f"{form} declared raw": _declared_raw(form) for form in _FORMATS},
    "qcow2 declared raw": _qcow_declared_raw,
    "packed, declared raw": _packed,
    "another type": _named,
}
