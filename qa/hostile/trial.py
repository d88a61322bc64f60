"""Runs the reader over many files, and collects what is wrong."""

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Optional, Union

from . import fuzz, references, tracer
from .bases import BASES, make, raw_disk
from .judge import GROWTH, LARGEST, NEVER, WARM, Unpack, problems
from .packed import PACKED, PACKINGS, bombs
from .samples import faults
from .several import cases

_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class File:
    """A file, the type of its source-spec, and QEMU's name of the format.

    ``fields``: what its stream says of its packing. ``unpack``: see :class:`.packed.Packing`.
    """

    name: str
    type: str
    form: str
    path: Path
    fields: "Mapping[str, Union[str, int]]" = field(default_factory=dict)
    unpack: Unpack = ((), ())

    @property
    def spec(self) -> "dict[str, Any]":
        """Its source-spec."""
        stream = {"type": "file", "file_path": str(self.path), **self.fields}
        return {"type": self.type, "stream": stream}


@dataclass
class Found:
    """``wrong``: what is wrong, by file. ``codes``: how often each error came, "" is a disk."""

    wrong: "list[str]" = field(default_factory=list)
    codes: "dict[str, int]" = field(default_factory=dict)
    slowest: "tuple[float, str]" = (0.0, "")
    growth: int = 0

    def count(self, name: str, answer: "dict[str, Any]") -> None:
        """Count the answer about a file."""
        errors = answer["errors"]
        code = errors[0][0] if errors else ("READ" if answer["read"] else "")
        self.codes[code] = self.codes.get(code, 0) + 1
        self.slowest = max(self.slowest, (max(answer["seconds"]), name))

    @property
    def summary(self) -> str:
        """The counts in one line."""
        parts = [f"{number} {code or 'read'}" for code, number in sorted(self.codes.items())]
        seconds, name = self.slowest
        return (
            f"{sum(self.codes.values())} files: {', '.join(parts)}; {seconds:.2f} s at most "
            f"({name}), {self.growth >> 20} MiB more memory; {len(self.wrong)} wrong"
        )


class Bench:
    """A folder with the good disks of every format, in which files are made and read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "open"
        self.folder.mkdir()
        self.outside = folder / references.SECRET
        self.outside.write_bytes(b"secret" * 1000)
        raw = self.folder / "base.raw"
        raw_disk(raw)
        self.good: dict[str, bytes] = {}
        for name, base in BASES.items():
            path = self.folder / f"base.{name}"
            make(base, raw, path)
            self.good[name] = path.read_bytes()
        disks = {name: self.good.get(name, raw.read_bytes()) for name in PACKED}
        self.packed_good = {
            (packing, name): how.pack(disk)
            for packing, how in PACKINGS.items()
            for name, disk in disks.items()
        }

    def sampled(self, every: int = 1) -> "Iterator[File]":
        """Files with faults, one of ``every``."""
        for number, fault in enumerate(faults(self.good)):
            if number % every:
                continue
            data = bytearray(self.good[fault.base])
            fault.apply(data, BASES[fault.base].qemu)
            yield self.file(f"{number}-{fault.name}", fault.base, bytes(data))

    def several(self) -> "Iterator[File]":
        """Files with several fields that are wrong."""
        for case in cases(self.good):
            data = bytearray(self.good[case.base])
            case.apply(data)
            yield self.file(f"{case.base}-{case.name}", case.base, bytes(data))

    def cut_off(self) -> "Iterator[File]":
        """Files that end too early."""
        for name, data in self.good.items():
            for length in (0, 1, 3, 64, 511, 512, 1000, len(data) // 2, len(data) - 512):
                yield self.file(f"cut-{name}-{length}", name, data[:length])

    def fuzzed(self, seeds: Iterable[int]) -> "Iterator[File]":
        """Files with random changes, of the formats in turn."""
        names = list(BASES)
        for seed in seeds:
            name = names[seed % len(names)]
            yield self.file(f"fuzz-{seed}-{name}", name, fuzz.changed(name, self.good[name], seed))

    def packed(self, seeds: Iterable[int]) -> "Iterator[File]":
        """Compressed files and archives with random changes, of all kinds in turn."""
        kinds = list(self.packed_good.items())
        for seed in seeds:
            (packing, name), good = kinds[seed % len(kinds)]
            data = fuzz.changed_packed(packing, name, good, seed)
            yield self.packed_file(f"packed-{seed}-{packing}-{name or 'raw'}", packing, name, data)

    def packed_file(self, name: str, packing: str, base: str, data: bytes) -> File:
        """Make a file that is read as a packed one of a base; "" is a raw disk."""
        path, how = self.folder / name, PACKINGS[packing]
        path.write_bytes(data)
        kind, form = (BASES[base].type, BASES[base].qemu) if base else ("raw", "raw")
        return File(name, kind, form, path, how.stream(kind), how.unpack)

    def bombs(self) -> "Iterator[File]":
        """Small files that unpack to very much."""
        for number, (packing, kind, data) in enumerate(bombs(self.good["qcow2"])):
            base = "qcow2" if kind == "qcow" else ""
            file = self.packed_file(f"bomb-{number}-{packing}-{kind}", packing, base, data)
            yield replace(file, unpack=NEVER)

    def file(self, name: str, base: str, data: bytes) -> File:
        """Make a file that is read as one of a base."""
        path = self.folder / name
        path.write_bytes(data)
        return File(name, BASES[base].type, BASES[base].qemu, path)

    def read(self, files: Iterable[File], *, until: Optional[float] = None) -> Found:
        """Have files read, one after another. ``until``: monotonic time at which it ends."""
        found, first, largest = Found(), 0, 0
        with _reader([], self.folder) as reader:
            for number, file in enumerate(files):
                answer = _asked(reader, file)
                first = answer["resident"] if number <= WARM else first
                if answer["largest"] > max(LARGEST, largest):
                    found.wrong.append(f"{file.name}: QEMU took {answer['largest'] >> 20} MiB")
                largest = max(largest, answer["largest"])
                found.growth = max(found.growth, answer["resident"] - first)
                found.count(file.name, answer)
                wrong = problems(answer, file.path, file.form, file.unpack)
                found.wrong += [f"{file.name}: {text}" for text in wrong]
                if not wrong:
                    file.path.unlink()
                if until is not None and time.monotonic() > until:
                    break
        if found.growth > GROWTH:
            found.wrong.append(f"the reading process grew by {found.growth >> 20} MiB")
        return found

    def good_files(self) -> "Iterator[File]":
        """Good disks of all formats, and in all packings: raw ones, and one that QEMU reads."""
        for name, data in self.good.items():
            yield self.file(f"good-{name}", name, data)
        for (packing, name), data in self.packed_good.items():
            if not name or (packing, name) == ("zstd", "qcow2"):
                yield self.packed_file(f"good-{packing}-{name or 'raw'}", packing, name, data)

    def traced(self, files: Iterable[File] = ()) -> Found:
        """Read files that name others, and ``files``, under strace.

        They may touch no path outside of the folder but those that good files touch.
        """
        found, log = Found(), self.folder.parent / "trace"
        usual = self.folder.parent / "trace-of-good-files"
        with _reader(tracer.command(usual, []), self.folder) as reader:
            for file in self.good_files():
                _asked(reader, file)
        with socket.create_server(("127.0.0.1", 0)) as trap:
            port = trap.getsockname()[1]
            named = [
                File(each.path.name, each.type, "", each.path)
                for each in references.made(self.folder, self.outside, port)
            ]
            with _reader(tracer.command(log, []), self.folder) as reader:
                for file in chain(named, files):
                    answer = _asked(reader, file)
                    found.count(file.name, answer)
                    answer["seconds"] = [0.0]  # strace takes its time too
                    answer["digest"] = ""  # qemu-img would follow the names
                    wrong = problems(answer, file.path, file.form)
                    found.wrong += [f"{file.name}: {text}" for text in wrong]
            trap.setblocking(False)
            try:
                trap.accept()
            except BlockingIOError:
                pass  # nobody came
            else:
                found.wrong.append("a server was reached")
        marks = ["/etc/shadow", "/dev/zero", "/proc/self/environ", str(self.outside)]
        found.wrong += tracer.forbidden(log, marks)
        found.wrong += tracer.strays(log, self.folder, usual)
        return found


@contextmanager
def _reader(before: "list[str]", folder: Path) -> "Iterator[subprocess.Popen[str]]":
    program = [sys.executable, "-m", "qa.hostile.reader", str(folder)]
    reader = subprocess.Popen(
        [*before, *program],
        cwd=_REPOSITORY,
        env={"PYTHONPATH": f"{_REPOSITORY / 'src'}", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield reader
        assert reader.stdin is not None
        reader.stdin.close()
        reader.wait(60)
    finally:
        reader.kill()
        reader.wait()


def _asked(reader: "subprocess.Popen[str]", file: File) -> "dict[str, Any]":
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write(json.dumps(file.spec) + "\n")
    reader.stdin.flush()
    line = reader.stdout.readline()
    if not line:
        raise RuntimeError(f"the reader ended while it read {file.path}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def random_seeds() -> "Iterator[int]":
    """Seeds without an end, other ones each time."""
    first = random.randrange(1 << 40)
    while True:
        yield first
        first += 1
