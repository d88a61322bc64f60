"""Builds the guest's kernel and initramfs, once; they are kept in a cache.

The kernel is the one of Debian's package ``linux-image-cloud-amd64``, which is downloaded and
unpacked but not installed. The only program in it is compiled from the C files in this folder.
"""

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from qa.guest.errors import GuestError
from qa.guest.initramfs import archive

_CACHE = Path(os.environ.get("RBD_MIGRATION_CACHE", "/var/cache/rbd_migration")) / "guest"
_SOURCES = tuple(Path(__file__).with_name(name) for name in ("boot.c", "writer.c", "guest.h"))
_META_PACKAGE = "linux-image-cloud-amd64"
_PARTS = re.compile(r"Depends: (linux-(?:binary|modules)-\S+)")  # from Debian 14 on
_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod")
_TIMEOUT = 300


@dataclass(frozen=True)
class Parts:
    """What QEMU boots."""

    kernel: Path
    initramfs: Path


def build(folder: Optional[Path] = None) -> Parts:
    """Return the guest's parts, made in ``folder`` if they are not there yet. Raises GuestError.

    The first time takes some seconds and downloads 27 to 37 MB.
    """
    cache = folder or _CACHE
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = _kernel(cache)
        contents = (path.read_bytes() for path in (*_SOURCES, *sorted(kernel.glob("*.ko"))))
        digest = hashlib.sha256(b"".join(contents)).hexdigest()[:12]
        initramfs = cache / f"initramfs-{digest}.gz"
        if not initramfs.exists():
            _write(initramfs, archive(_files(cache, kernel)))
        return Parts(kernel / "vmlinuz", initramfs)


def _kernel(cache: Path) -> Path:
    """Return the folder with ``vmlinuz`` and the modules that are needed."""
    made = cache / "boot"
    if made.exists():
        return made
    work = cache / "download"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    found = re.search(r"Depends: (linux-image-\S+)", _depends(_META_PACKAGE, work))
    if not found:
        raise GuestError(f"apt knows no package {_META_PACKAGE}; run apt-get update.")
    parts = _PARTS.findall(_depends(found[1], work))
    _run(["apt-get", "download", *(parts or [found[1]])], work)
    for package in work.glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(package), "unpacked"], work)
    take(work / "unpacked", work / "boot")
    (work / "boot").rename(made)
    shutil.rmtree(work)
    return made


def _depends(package: str, folder: Path) -> str:
    return _run(["apt-cache", "depends", package], folder)


def take(unpacked: Path, folder: Path) -> None:
    """Copy the kernel and the modules into ``folder``, numbered in the order of loading.

    ``unpacked`` are the packages, of any Debian since 12. Raises GuestError.
    """
    kernels = [path for path in unpacked.rglob("vmlinuz*") if path.is_file()]
    if not kernels:
        raise GuestError(f"What {_META_PACKAGE} depends on contains no file vmlinuz*.")
    folder.mkdir()
    shutil.copy(kernels[0], folder / "vmlinuz")
    for number, (name, module) in enumerate(_in_order(unpacked).items()):
        (folder / f"{number:02}-{name}.ko").write_bytes(module)


def _in_order(unpacked: Path) -> "dict[str, bytes]":
    """Return the modules and what they depend on, each after its dependencies."""
    files = {
        path.name.partition(".")[0].replace("-", "_"): path for path in unpacked.rglob("*.ko*")
    }
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name not in order and name in files:  # others are built into the kernel
            module = _module(files[name])
            for needed in _needs(module):
                add(needed)
            order[name] = module

    for name in _MODULES:
        add(name)
    return order


def _module(path: Path) -> bytes:
    """Return a module's content; Debian compresses them from 13 on."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _needs(module: bytes) -> Iterator[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    for name in found[1].decode().split(",") if found else ():
        yield name.replace("-", "_")


def _files(cache: Path, kernel: Path) -> "dict[str, bytes]":
    """Return the content of the initramfs."""
    program = cache / "init"
    sources = [str(path) for path in _SOURCES if path.suffix == ".c"]
    flags = ["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program)]
    _run(["gcc", *flags, *sources, "-lpthread"], cache)
    modules = sorted(kernel.glob("*.ko"))
    order = "".join(f"{module.name}\n" for module in modules)
    return {
        "init": program.read_bytes(),
        "modules/order": order.encode(),
        **{f"modules/{module.name}": module.read_bytes() for module in modules},
    }


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.rename(path)


def _run(command: "list[str]", folder: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestError(f"The guest cannot be built: {error}.") from error
    if done.returncode != 0:
        raise GuestError(f"The guest cannot be built: {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
