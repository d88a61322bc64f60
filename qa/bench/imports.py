"""Disks from outside: our import of a format over a stream, beside the stock tools."""

import contextlib
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Callable

from qa.bench import stock
from qa.bench.copies import abort, copy
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn, timed
from qa.workload.images import MIB
from qa.workload.web_server import WebServer

_FORMATS = {"raw": "raw", "qcow": "qcow2"}  # ours, and QEMU's name
_OPTION = "mgr/rbd_migration/import_folders"
_OURS, _QEMU, _IMPORT = "ours", "qemu-img convert", "rbd import"
Way = Callable[[str], None]  # makes the image that is named


def run(rig: Rig) -> Result:
    """From the file to an image that has all data. Ours: prepare and execute."""
    size = 16 * MIB if rig.quick else 256 * MIB
    result = Result(f"imports of a full disk of {size // MIB} MiB")
    with tempfile.TemporaryDirectory() as name, _allowed(rig, name), WebServer(Path(name)) as web:
        files = _files(Path(name), size)
        for kind, file in files.items():
            places = {"file": str(file), "http": web.url(f"/{file.name}")}
            for stream, where in places.items():
                _compare(rig, result, kind, stream, where, size)
    return result


def _compare(rig: Rig, result: Result, kind: str, stream: str, where: str, size: int) -> None:
    ways: dict[str, Way] = {
        _OURS: partial(_ours, rig, kind, stream, where),
        _QEMU: partial(stock.convert_file, rig, _FORMATS[kind], where),
    }
    if (kind, stream) == ("raw", "file"):
        ways[_IMPORT] = partial(stock.import_file, rig, where)

    def measure(way: str) -> float:
        _, target = rig.pair()
        seconds = timed(lambda: ways[way](target))
        if way == _OURS:
            abort(rig, target)
        rig.remove([target])
        rig.said(f"{kind}, {stream}, {way}: {seconds:.2f} s")
        return size / MIB / seconds

    name = f"{kind} over {stream}"
    medians = result.add(
        in_turn({way: partial(measure, way) for way in ways}, rig.repeat), "MiB/s", f"{name}: "
    )
    result.figures += [
        Figure(f"{name}: ours : {way}", medians[_OURS] / medians[way])
        for way in ways
        if way != _OURS
    ]


def _ours(rig: Rig, kind: str, stream: str, where: str, target: str) -> None:
    what = {"type": "file", "file_path": where}
    if stream != "file":
        what = {"type": "http", "url": where}
    spec = json.dumps({"type": kind, "stream": what})
    rig.ask("prepare", source_image=target, source_spec=spec, import_only=True)
    rig.wait(target, "prepared")
    copy(rig, target)


def _files(folder: Path, size: int) -> "dict[str, Path]":
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        for number in range(size // MIB):
            file.write(random.Random(number).randbytes(MIB))
    made: dict[str, Path] = {"raw": raw, "qcow": folder / "disk.qcow2"}
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made["qcow"])],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return made


@contextlib.contextmanager
def _allowed(rig: Rig, folder: str) -> Iterator[None]:
    """Files may be imported from this folder."""
    _set(rig, folder)
    try:
        yield
    finally:
        _set(rig, "")


def _set(rig: Rig, value: Any) -> None:
    rig.cluster.mon_command("config set", who="mgr", name=_OPTION, value=value)
    time.sleep(0.5)  # until the manager heard of it
