"""Imports of external disks, by format and stream, compared with the stock tools."""

import contextlib
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable

from qa.bench import stock
from qa.bench.copies import abort, copy
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn, timed
from qa.devcluster import CommandFailed
from qa.workload.bucket import upload
from qa.workload.images import MIB
from qa.workload.module_options import module_options
from qa.workload.web_server import WebServer

_FORMATS = {"raw": "raw", "qcow": "qcow2"}  # ours, and QEMU's name
_OURS, _QEMU = "ours", "qemu-img convert"
_IMPORT, _PIPED = "rbd import", "curl | rbd import"
_BUCKET = "bench"
_HANGS = 120.0  # seconds after which QEMU is considered to hang; a conversion takes about three
_ATTEMPTS = 3
Way = Callable[[str], None]  # makes the image that is named


@dataclass(frozen=True)
class _Disk:
    """A disk to import: ``kind`` is its format, ``stream`` the stream object for the module.

    ``where`` is the path or URL for the stock tools, which send no key.
    """

    kind: str
    stream: "dict[str, Any]"
    where: str

    @property
    def name(self) -> str:
        return f"{self.kind} over {self.stream['type']}"


def run(rig: Rig) -> Result:
    """Measure from the start until an image has all data. The module needs prepare and execute."""
    size = 16 * MIB if rig.quick else 256 * MIB
    result = Result(f"imports of a full disk of {size // MIB} MiB")
    with tempfile.TemporaryDirectory() as name, allowed(rig, name), WebServer(Path(name)) as web:
        for kind, file in _files(Path(name), size).items():
            for disk in _disks(rig, kind, file, web):
                _compare(rig, result, disk, size)
    result.notes.append(
        "Over S3 the module signs its requests. The stock tools cannot, and get the same object by "
        "its URL, since it is public."
        if rig.has_gateway
        else "S3 was left out: the cluster has no object gateway (--rgw)."
    )
    return result


def _disks(rig: Rig, kind: str, file: Path, web: WebServer) -> "Iterator[_Disk]":
    """Return the same file over each stream."""
    yield _Disk(kind, {"type": "file", "file_path": str(file)}, str(file))
    url = web.url(f"/{file.name}")
    yield _Disk(kind, {"type": "http", "url": url}, url)
    if rig.has_gateway:
        stream = upload(file, rig.cluster.s3(), _BUCKET, public=True)
        yield _Disk(kind, stream, stream["url"])


def _compare(rig: Rig, result: Result, disk: _Disk, size: int) -> None:
    ways: dict[str, Way] = {
        _OURS: partial(_ours, rig, disk),
        _QEMU: partial(stock.convert_file, rig, _FORMATS[disk.kind], disk.where, timeout=_HANGS),
    }
    if disk.kind == "raw" and disk.stream["type"] == "file":
        ways[_IMPORT] = partial(stock.import_file, rig, disk.where)
    elif disk.kind == "raw":
        ways[_PIPED] = partial(stock.import_url, rig, disk.where)

    def attempt(way: str, left: int) -> "tuple[str, float]":
        """Return the image that was made, and the seconds that it took."""
        _, target = rig.pair()
        try:
            return target, timed(lambda: ways[way](target))
        except CommandFailed as error:
            if error.returncode is not None or not left:
                raise
            # QEMU 7.2 sometimes waits endlessly for a connection that has sent everything.
            result.notes.append(f"{disk.name}, {way}: restarted because it hung.")
            return attempt(way, left - 1)

    def measure(way: str) -> float:
        target, seconds = attempt(way, _ATTEMPTS - 1)
        if way == _OURS:
            abort(rig, target)
        rig.remove([target])
        rig.said(f"{disk.name}, {way}: {seconds:.2f} s")
        return size / MIB / seconds

    medians = result.add(
        in_turn({way: partial(measure, way) for way in ways}, rig.repeat),
        "MiB/s",
        f"{disk.name}: ",
    )
    result.figures += [
        Figure(f"{disk.name}: ours : {way}", medians[_OURS] / medians[way])
        for way in ways
        if way != _OURS
    ]


def _ours(rig: Rig, disk: _Disk, target: str) -> None:
    spec = json.dumps({"type": disk.kind, "stream": disk.stream})
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
def allowed(rig: Rig, folder: str) -> Iterator[None]:
    """Allow imports of files from this folder."""
    with module_options(rig.cluster, import_folders=folder):
        time.sleep(0.5)  # until the manager has read the option
        yield
