"""Builds the guest's kernel and initramfs, once; they are kept in a cache.

The kernel is the one of Debian's package ``linux-image-cloud-amd64``, which is downloaded and
unpacked but not installed. The only program in it is compiled from the C files in this folder.
"""

import fcntl
import hashlib
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
_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod")
_TIMEOUT = 300


@dataclass(frozen=True)
class Parts:
    """What QEMU boots."""

    kernel: Path
    initramfs: Path


def build(folder: Optional[Path] = None) -> Parts:
    """Return the guest's parts, made in ``folder`` if they are not there yet. Raises GuestError.

    The first time takes some seconds and downloads 27 MB.
    """
    cache = folder or _CACHE
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = _kernel(cache)
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()[:12]
        initramfs = cache / f"initramfs-{digest}.gz"
        if not initramfs.exists():
            _write(initramfs, archive(_files(cache, kernel)))
        return Parts(kernel / "vmlinuz", initramfs)


def _kernel(cache: Path) -> Path:
    """Return the folder with ``vmlinuz`` and the modules that are needed."""
    made = cache / "kernel"
    if made.exists():
        return made
    work = cache / "download"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    depends = _run(["apt-cache", "depends", _META_PACKAGE], work)
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if not found:
        raise GuestError(f"apt knows no package {_META_PACKAGE}; run apt-get update.")
    _run(["apt-get", "download", found[1]], work)
    package = next(work.glob("*.deb"))
    _run(["dpkg-deb", "--extract", str(package), "unpacked"], work)
    ready = work / "kernel"
    ready.mkdir()
    shutil.copy(next((work / "unpacked" / "boot").glob("vmlinuz-*")), ready / "vmlinuz")
    for number, module in enumerate(_in_order(work / "unpacked" / "lib" / "modules")):
        shutil.copy(module, ready / f"{number:02}-{module.name}")
    ready.rename(made)
    shutil.rmtree(work)
    return made


def _in_order(tree: Path) -> "list[Path]":
    """Return the modules and what they depend on, each after its dependencies."""
    files = {path.stem.replace("-", "_"): path for path in tree.rglob("*.ko")}
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        if name not in order and name in files:  # others are built into the kernel
            for needed in _needs(files[name]):
                add(needed)
            order[name] = files[name]

    for module in _MODULES:
        add(module)
    return list(order.values())


def _needs(module: Path) -> Iterator[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
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
