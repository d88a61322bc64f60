"""Looks at files and reads them, as a worker does: one line of JSON for each.

``python3 -m qa.hostile.reader FOLDER`` takes a source-spec in each line. FOLDER alone is open to
imports, and no host but those that nothing listens at.
"""

import hashlib
import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

from rbdmigrate.model.finding import Severity
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.sources import SourceError, inspect
from rbdmigrate.sources.content import Content
from rbdmigrate.sources.copying import CopySource, inspect_copied
from rbdmigrate.sources.limits import Limits
from rbdmigrate.sources.qemu.content import QemuContent

_SHORT = 64 << 20  # bytes of a disk that is read
_PIECE = 1 << 20


def main() -> None:
    """Answer each line of the standard input."""
    policy = ImportPolicy(folders=(sys.argv[1],), hosts=("192.0.2.1",), spool_min_free=0)
    for line in sys.stdin:
        print(json.dumps(looked_at(line, policy)), flush=True)


def looked_at(text: str, policy: ImportPolicy) -> "dict[str, Any]":
    """What comes of a source: errors (code and message), its size, the digest, and its cost."""
    spec = parse_source_spec(text)
    begin = used()
    found = inspect_copied(spec, policy, Limits(total=25))
    by_copy = used() - begin
    live = spec.read_by_librbd
    errors = list(inspect(spec, policy, Limits(total=25)).errors) if live else []
    by_live = used() - begin - by_copy
    codes = [[f.code, f.message] for f in found.findings if f.severity is Severity.ERROR]
    digest, said = "", ""
    if not codes and found.size is not None and found.size <= _SHORT:
        with CopySource(spec, policy) as source:
            digest, said = read(source)
            said = said or _snapshots(source)
    return {
        "errors": codes,
        "live": [[f.code, f.message] for f in errors],
        "size": found.size,
        "digest": digest,
        "read": said,
        "seconds": [by_copy, by_live],
        "resident": resident(),
        "largest": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10,
    }


def _snapshots(source: CopySource) -> str:
    """The sentence with which the first snapshots end; empty where they are read."""
    try:
        names = [snapshot.name for snapshot in source.snapshots()]
    except SourceError as error:
        return error.message
    return next((said for name in names[:3] for said in [read(source, name)[1]] if said), "")


def read(source: CopySource, name: Optional[str] = None) -> "tuple[str, str]":
    """The digest of the head, or of a snapshot, or the sentence with which it ended."""
    digest, at = hashlib.sha256(), 0
    try:
        with source.open(name, seconds=20) as disk:
            for offset, length in disk.extents(0, disk.size):
                for begin in range(offset, offset + length, _PIECE):
                    _zeros(digest, begin - at)
                    piece = _read(disk, begin, min(_PIECE, offset + length - begin))
                    digest.update(piece)
                    at = begin + len(piece)
            _zeros(digest, disk.size - at)
            disk.finish()
    except SourceError as error:
        return "", error.message
    return digest.hexdigest(), ""


def _read(disk: Content, offset: int, length: int) -> bytes:
    """Read as a copy does, and as a verification does: both have to be the same."""
    by_verification = disk.read(offset, length)
    if isinstance(disk, QemuContent):
        by_copy, ended = [b""], threading.Event()

        def done(errno: int, content: bytes) -> None:
            by_copy[0] = content
            ended.set()

        disk.begin_read(offset, length, done)
        ended.wait()
        if by_copy[0] != by_verification:
            raise RuntimeError(f"QEMU reads other bytes at {offset} than are in the file")
    return by_verification


def _zeros(digest: Any, length: int) -> None:
    digest.update(bytes(max(0, length)))


def used() -> float:
    """Seconds of the processor, of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
