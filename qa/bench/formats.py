"""Imports of disks that librbd does not read (method copy) and ``qemu-img convert``."""

import json
import random
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from qa.bench import stock
from qa.bench.copies import abort
from qa.bench.imports import Way, allowed
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn, timed
from qa.workload.images import MIB

#: the type in the source-spec, QEMU's name of the format, and its options
_KINDS = {
    "compressed qcow2": ("qcow", "qcow2", ("-c",)),
    "vmdk": ("vmdk", "vmdk", ()),
    "vhdx": ("vhdx", "vhdx", ()),
    "vdi": ("vdi", "vdi", ()),
    "vpc": ("vpc", "vpc", ("-o", "force_size=on")),
    "parallels": ("parallels", "parallels", ()),
}
_OURS, _QEMU = "ours", "qemu-img convert"
_LEAST = 0.9


def run(rig: Rig) -> Result:
    """Measure from the start until an image has all data. The module looks first, then copies."""
    size = 16 * MIB if rig.quick else 4096 * MIB
    result = Result(f"imports by the method copy of a disk of {size // MIB} MiB, half of it data")
    with tempfile.TemporaryDirectory() as name, allowed(rig, name):
        raw = _raw(Path(name), size)
        for what, (kind, qemu, options) in _KINDS.items():
            file = raw.with_name(f"disk.{qemu}")
            command = [
                "qemu-img",
                "convert",
                "-f",
                "raw",
                "-O",
                qemu,
                *options,
                str(raw),
                str(file),
            ]
            subprocess.run(command, check=True, capture_output=True, timeout=600)
            _compare(rig, result, what, (kind, qemu, file), size)
    return result


def _raw(folder: Path, size: int) -> Path:
    """A disk that compresses to a half, with a hole after each MiB of data."""
    path = folder / "disk.raw"
    with path.open("wb") as file:
        for number in range(0, size // MIB, 2):
            file.seek(number * MIB)
            for block in range(256):
                part = random.Random(number << 8 | block).randbytes(2048)
                file.write(part + part)
        file.truncate(size)
    return path


def _compare(rig: Rig, result: Result, what: str, disk: "tuple[str, str, Path]", size: int) -> None:
    kind, qemu, file = disk

    def ours(target: str) -> None:
        spec = {"type": kind, "stream": {"type": "file", "file_path": str(file)}}
        rig.ask(
            "run",
            source_image=target,
            source_spec=json.dumps(spec),
            import_only=True,
            method="copy",
            goal="executed",
        )
        rig.wait(target, "executed")

    ways: dict[str, Way] = {
        _OURS: ours,
        _QEMU: partial(stock.convert_unordered, rig, qemu, str(file), size),
    }

    def measure(way: str) -> float:
        _, target = rig.pair()
        seconds = timed(lambda: ways[way](target))
        if way == _OURS:
            abort(rig, target)
        rig.remove([target])
        rig.said(f"{what}, {way}: {seconds:.2f} s")
        return size / 2 / MIB / seconds

    medians = result.add(
        in_turn({way: partial(measure, way) for way in ways}, rig.repeat), "MiB/s", f"{what}: "
    )
    ratio = medians[_OURS] / medians[_QEMU]
    result.figures.append(Figure(f"{what}: ours : {_QEMU}", ratio, least=_LEAST))
