"""A source of one kind, and the maker that its generator gets."""

import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from qa.workload.sources import KIB, make_source, qemu, random_views
from qa.workload.web_behaviour import Behaviour
from qa.workload.web_server import WebServer

PASSPHRASE = "secret"  # of all encrypted disks

Spec = dict[str, Any]
Views = Mapping[str, bytes]


@dataclass(frozen=True)
class Disk:
    """A source-spec and what its import has to hold.

    ``views``: the bytes of the snapshots and of the head, whose name is empty. ``inside``: the disk
    in a file of another format, which is imported byte by byte. ``faulty``: a refusal without a
    remedy is right.
    """

    spec: Spec
    views: Views = field(repr=False)
    inside: Optional[Views] = field(default=None, repr=False)
    faulty: bool = False


class Maker:
    """Makes the files of one source in a folder of its own, with random choices of its own."""

    def __init__(self, root: Path, web: WebServer, kind: str, seed: int) -> None:
        self.root = root
        self.folder = root / f"{seed}"
        self.folder.mkdir()
        self.seed = seed
        self.chance = random.Random(f"{kind}/{seed}")
        self._web = web

    def size(self) -> int:
        """Return a size of a disk, a multiple of 512."""
        return self.chance.randrange(64 * KIB, 1536 * KIB, 512)

    def raw(self) -> "tuple[Path, bytes]":
        """Make a raw file with holes, and return its content too."""
        path = self.folder / "disk.raw"
        content = random_views(self.chance, ("",), self.size())[""]
        path.write_bytes(content)
        return path, content

    def qcow(self, kind: str, *options: str) -> "tuple[Path, dict[str, bytes]]":
        """Make a QCOW file of a kind of ``make_source``, and return its views too."""
        made = make_source(self.folder, kind, self.seed, self.size(), options)
        return made.files[0], dict(made.views)

    def converted(self, form: str, name: str, *options: str) -> "tuple[Path, bytes]":
        """Make a file of another format with qemu-img, and return the disk in it too."""
        path, content = self.raw()
        made = self.folder / name
        qemu("img", "convert", "-f", "raw", "-O", form, *options, path.name, name, cwd=self.folder)
        path.unlink()
        return made, content

    def stream(self, path: Path) -> Spec:
        """Return a stream over a file or over HTTP."""
        if self.chance.random() < 0.7:
            return {"type": "file", "file_path": str(path)}
        return self.http(path)

    def http(self, path: Path, **behaviour: Any) -> Spec:
        """Return a stream over HTTP; ``behaviour``: how the server answers, see Behaviour."""
        where = "/" + quote(str(path.relative_to(self.root)))
        if behaviour:
            self._web.behave(where, Behaviour(**behaviour))
        return {"type": "http", "url": self._web.url(where)}

    def disk(self, kind: str, path: Path, views: Views, faulty: bool = False) -> Disk:
        """Return the Disk of a file that is imported as ``kind``."""
        return Disk({"type": kind, "stream": self.stream(path)}, views, faulty=faulty)


def as_qemu_reads(path: Path, form: str) -> Optional[bytes]:
    """Return the disk in a file, as QEMU reads it; None if it does not."""
    out = path.with_name(path.name + ".read")
    command: Sequence[str] = ("convert", "-U", "-f", form, "-O", "raw", path.name, out.name)
    try:
        qemu("img", *command, cwd=path.parent)
    except subprocess.CalledProcessError:
        out.unlink(missing_ok=True)
        return None
    content = out.read_bytes()
    out.unlink()
    return content
