"""Files to import, made by QEMU's tools, with the expected content of each view."""

import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

KIB, MIB = 1 << 10, 1 << 20
SIZE = MIB + 8 * KIB  # not a multiple of the target's object size
VIEWS = ("one", "two", "")
FORMATS = ("raw", "raw-snapshots", "qcow1", "qcow2", "qcow3-snapshots", "qcow3-bitmaps")


@dataclass(frozen=True)
class SourceFile:
    """A source of one format.

    ``files`` are those to serve, the head's first. ``views`` are the bytes of the snapshots and of
    the head (whose name is empty).
    """

    name: str
    files: "tuple[Path, ...]"
    views: "Mapping[str, bytes]" = field(repr=False)

    def spec(self, stream: "Any") -> "dict[str, Any]":
        """Return the source-spec; ``stream`` makes the stream object of a file."""
        if self.name.startswith("qcow"):
            return {"type": "qcow", "stream": stream(self.files[0])}
        spec: dict[str, Any] = {"type": "raw", "stream": stream(self.files[0])}
        if len(self.files) > 1:
            spec["snapshots"] = [
                {"type": "raw", "name": name, "stream": stream(file)}
                for name, file in zip(self.snapshots, self.files[1:])
            ]
        return spec

    @property
    def snapshots(self) -> "list[str]":
        """Return the names of the snapshots, oldest first."""
        return [name for name in self.views if name]

    def converted(self) -> "dict[str, bytes]":
        """Return what ``qemu-img convert`` makes of each view."""
        made = self.files[0].with_suffix(".converted")
        driver = "raw" if self.name.startswith("raw") else "qcow2"
        driver = "qcow" if self.name == "qcow1" else driver
        found = {}
        for number, name in enumerate(self.views):
            head = driver == "raw" or not name
            file = self.files[number + 1 if name else 0] if driver == "raw" else self.files[0]
            view = [] if head else ["-l", f"snapshot.name={name}"]
            qemu("img", "convert", "-f", driver, *view, "-O", "raw", str(file), str(made))
            found[name] = made.read_bytes()
        made.unlink()
        return found


def make_source(
    folder: Path, kind: str, seed: int = 1, size: int = SIZE, options: Sequence[str] = ()
) -> SourceFile:
    """Make a source of one of ``FORMATS`` in ``folder``, with holes, that differs in every view.

    ``qcow3``, a file of version 3 without snapshots, is possible too. ``options`` are those of
    ``qemu-img create -o`` for versions 2 and 3.
    """
    chance = random.Random(f"{kind}/{seed}")
    views = random_views(chance, VIEWS if kind.endswith("snapshots") else ("",), size)
    stem = folder / f"{kind}-{seed}"
    raws = {name: Path(f"{stem}.{name or 'head'}.raw") for name in views}
    for name, path in raws.items():
        path.write_bytes(views[name])
    if kind.startswith("raw"):
        files = (raws[""], *(path for name, path in raws.items() if name))
        return SourceFile(kind, files, views)
    made = Path(f"{stem}.{kind}")
    if kind == "qcow1":
        qemu("img", "convert", "-f", "raw", "-O", "qcow", str(raws[""]), str(made))
    else:
        compat = "0.10" if kind == "qcow2" else "1.1"
        form = ["-f", "qcow2", "-o", ",".join([f"compat={compat}", *options])]
        qemu("img", "create", "-q", *form, str(made), str(size))
        before = bytes(size)
        for name in views:
            _write(made, before, views[name], raws[name])
            if name:
                qemu("img", "snapshot", "-c", name, str(made))
            before = views[name]
        if kind.endswith("bitmaps"):
            qemu("img", "bitmap", "--add", "--enable", str(made), "backup")
    for path in raws.values():
        path.unlink()
    return SourceFile(kind, (made,), views)


def random_views(
    chance: random.Random, names: Sequence[str], size: int = SIZE
) -> "dict[str, bytes]":
    """Return random pieces between holes; each view changes some of the one before."""
    disk = bytearray(size)
    found = {}
    for number, name in enumerate(names):
        for at in range(0, size, 64 * KIB):
            if chance.random() < (0.5 if number == 0 else 0.25):
                length = min(64 * KIB, size - at)
                disk[at : at + length] = chance.randbytes(length)
        found[name] = bytes(disk)
    return found


def _write(image: Path, before: bytes, after: bytes, file: Path) -> None:
    """Write the differences, as a guest would."""
    commands = []
    for at in range(0, len(after), 64 * KIB):
        piece = after[at : at + 64 * KIB]
        if piece != before[at : at + 64 * KIB]:
            part = file.with_name(f"{file.name}.{at}")
            part.write_bytes(piece)
            commands += ["-c", f"write -q -s {part} {at} {len(piece)}"]
    qemu("io", "-f", "qcow2", *commands, str(image))
    for part in file.parent.glob(f"{file.name}.[0-9]*"):
        part.unlink()


def qemu(tool: str, *args: str, cwd: Optional[Path] = None) -> None:
    """Run ``qemu-img`` or ``qemu-io``. Raises subprocess.CalledProcessError."""
    subprocess.run([f"qemu-{tool}", *args], check=True, capture_output=True, timeout=60, cwd=cwd)
