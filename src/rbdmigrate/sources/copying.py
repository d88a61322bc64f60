"""Sources as the method ``copy`` reads them: raw streams by ourselves, other formats by QEMU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from errno import EINVAL, ENOENT
from types import TracebackType
from typing import Optional

from ..model.import_policy import ImportPolicy
from ..model.inspection import Inspection, SnapshotInfo
from ..model.source import CONFIG
from ..model.source_spec import SourceSpec, StreamSpec
from ..model.units import format_size
from . import conversion, qcow, raw
from .content import Content, RawContent
from .errors import SourceError
from .file import FileStream
from .holes import FileData
from .in_order import comes_in_order, disk_in, other_size, summed_in_passing
from .limits import Deadline, Limits
from .look import Look
from .qcow_header import parse_header
from .qcow_tables import Snapshot, read_snapshots, read_view
from .qemu import vmdk
from .qemu.chain import FORMATS
from .qemu.content import QemuContent
from .spool import Spool, SpooledStream
from .stream import Resolve, Stream, no_config
from .streams import open_stream
from .unpacked import partly

_INSPECTED = 20  # seconds of the processor for looking at a disk
_COUNTING = 0.5  # seconds for counting data; what takes longer is not known
_SHORTEST_STEP, _LONGEST_STEP = 64 << 20, 64 << 30  # bytes of a disk in which it is counted at once
_STEP = 0.05  # seconds that a step may take before the next one is shorter
_BY_ITS_END = {"QEMU_REFUSED", "QEMU_READ", "SPOOL_PARTLY"}  # of a file whose end is not there


@dataclass(frozen=True)
class CopySource:
    """A source that is copied: what opens it. ``limits.total`` is None for a copy.

    ``spool`` has what comes in one order and is read in any; ``close`` gives the space back.
    """

    spec: SourceSpec
    policy: ImportPolicy
    limits: Limits = Limits(total=None)  # noqa: RUF009 - frozen
    resolve_config: Resolve = no_config
    deadline: Optional[Deadline] = None
    spool: Spool = field(default_factory=Spool, compare=False)

    def __enter__(self) -> CopySource:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what it took on this host. Never raises."""
        self.spool.close()

    @property
    def stream(self) -> StreamSpec:
        """The head's stream. Raises SourceError for a native source."""
        if self.spec.stream is None:
            raise SourceError("SOURCE_NATIVE", EINVAL, "A native source is read by librbd only.")
        return self.spec.stream

    @property
    def by_qemu(self) -> bool:
        """Whether QEMU reads it."""
        return self.spec.format in FORMATS

    def open_stream(self, stream: StreamSpec) -> Stream:
        """Open a stream of it, or one that is named in it. Raises SourceError."""
        return open_stream(
            stream, self.policy, self.limits, self.resolve_config, self.deadline, copied=True
        )

    def open_disk(self, stream: StreamSpec, *, summed: bool = False) -> Stream:
        """Open the raw disk in a stream. Raises SourceError.

        ``summed``: the checksum of what is read is compared, by ``finish``.
        """
        opened = self.open_stream(stream)
        return disk_in(opened, stream, summed=summed, deadline=self.deadline)

    def open_anywhere(self, stream: StreamSpec) -> Stream:
        """Open a stream that is read in any order. Raises SourceError.

        What comes in one order only is put into a file first, and its checksum compared then.
        """
        kept = self.spool.has(stream)
        if kept is not None:
            return kept
        opened = self.open_stream(stream)
        if not comes_in_order(opened, stream):
            return opened
        return self.spool.put(opened, stream, self.policy, self.deadline)

    def snapshots(self) -> list[SnapshotInfo]:
        """Its snapshots, the oldest first. Raises SourceError."""
        if self.spec.format == "raw":
            found = []
            for snapshot in self.spec.snapshots:
                with self.open_disk(snapshot.stream) as stream:
                    found.append(SnapshotInfo(snapshot.name, stream.size))
            return found
        return [SnapshotInfo(s.name, s.size) for s in self._internal()]

    def _internal(self) -> list[Snapshot]:
        if self.spec.format != "qcow":
            return []
        with self.open_anywhere(self.stream) as stream:
            return read_snapshots(stream, parse_header(stream), self.limits)

    def open(self, snapshot: Optional[str], *, seconds: int = 0, summed: bool = False) -> Content:
        """Open the head (None) or a snapshot. Raises SourceError.

        ``seconds``: processor time that QEMU may use, 0 for no limit. ``summed``: see open_disk.
        """
        if not self.by_qemu:
            return self._raw(snapshot, summed=summed)
        ident = size = None
        if snapshot is not None:
            named = [s for s in self._internal() if s.name == snapshot]
            if not named:
                raise self._missing(snapshot)
            ident, size = named[0].ident, named[0].size
        content = QemuContent(
            self.open_anywhere,
            self.stream,
            self.spec.format,
            passphrase=self._passphrase(),
            ident=ident,
            size=size,
            seconds=seconds,
        )
        said = self.stream.size
        if said and snapshot is None and content.size != said:
            content.close()
            raise other_size(self.stream.location, said, f"has a disk of {content.size} bytes")
        return content

    def _passphrase(self) -> bytes:
        given = self.spec.passphrase
        if given.startswith(CONFIG):
            given = self.resolve_config(given[len(CONFIG) :], "")
        return given.encode()

    def _raw(self, snapshot: Optional[str], *, summed: bool) -> Content:
        stream = self.stream
        if snapshot is not None:
            named = [s.stream for s in self.spec.snapshots if s.name == snapshot]
            if not named:
                raise self._missing(snapshot)
            stream = named[0]
        opened = self.open_disk(stream, summed=summed)
        return HoleyFile(opened) if isinstance(opened, FileStream) else RawContent(opened)

    def _missing(self, snapshot: str) -> SourceError:
        what = f"{self.spec.label()} has no snapshot {snapshot!r}."
        return SourceError("RAW_NO_SNAPSHOT", ENOENT, what)


class HoleyFile(RawContent):
    """A raw file, whose holes are left out."""

    def __init__(self, stream: FileStream) -> None:
        super().__init__(stream)
        self._data = FileData(stream.descriptor)

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        yield from self._data.within(offset, min(offset + length, self.size))


def inspect_copied(
    spec: SourceSpec,
    policy: ImportPolicy,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> Inspection:
    """Inspect a source as it would be copied. Never raises for a source: see ``inspect``."""
    look = Look(spec, policy, limits, resolve_config, Deadline(limits))
    return look.by(_look)


def identify_copied(source: CopySource) -> dict[str, dict[str, str]]:
    """The ``identity`` of an Inspection. Never raises; what cannot be opened is left out."""
    found: dict[str, dict[str, str]] = {}
    for path, stream_spec in source.spec.streams():
        whole = replace(stream_spec, member="")  # an archive's is that of its files
        with suppress(Exception), source.open_stream(whole) as stream:
            found[path] = dict(stream.identity)
    return found


def _look(look: Look) -> None:
    with CopySource(
        look.spec,
        look.policy,
        look.limits,
        look.resolve_config,
        look.deadline,
        Spool(partly=True),
    ) as source:
        _look_at(look, source)


def _look_at(look: Look, source: CopySource) -> None:
    opened = source.open_disk if look.spec.format == "raw" else source.open_anywhere
    with opened(source.stream) as stream:
        if look.spec.format == "raw":
            raw.look_at(look, stream)
        elif look.spec.format == "qcow":
            header = parse_header(stream)
            look.details.append(f"QCOW version {header.version}")
            if header.snapshot_count and not stream.complete:
                raise partly(stream.label, conversion.gathered(source.stream))
            qcow.odd_size(look, stream, header, "QEMU leaves out what is behind the last 512")
            qcow.health(look, stream, header)
            snapshots = read_snapshots(stream, header, look.limits)
            qcow.names_of(look, stream, header, snapshots)
            for each in snapshots if stream.complete else ():
                read_view(stream, header, look.limits, each)
            look.snapshots += [SnapshotInfo(s.name, s.size) for s in snapshots]
        look.remember("stream", stream)
        _note_order(look, source.stream, stream)
        if not stream.complete:
            look.size = _size_by_its_beginning(source, stream)
            return
    for number, snapshot in enumerate(look.spec.snapshots):
        with source.open_disk(snapshot.stream) as stream:
            raw.look_at_snapshot(look, snapshot, stream)
            look.remember(f"snapshots[{number}].stream", stream)
            _note_order(look, snapshot.stream, stream)
    with source.open(None, seconds=_INSPECTED) as content:
        look.size = content.size
        if not content.size:
            look.note("SOURCE_EMPTY", f"The disk in {look.spec.label()} has 0 bytes.")
        else:
            _count(look, content)


def _size_by_its_beginning(source: CopySource, stream: Stream) -> int:
    """Bytes of the disk in a file of which the beginning was read. Raises SourceError."""
    try:
        with source.open(None, seconds=_INSPECTED) as content:
            return content.size
    except SourceError as error:
        if error.problem not in _BY_ITS_END:
            raise
    size = source.stream.size or (vmdk.capacity(stream) if source.spec.format == "vmdk" else 0)
    if not size:
        raise partly(stream.label, conversion.gathered(source.stream))
    return size


def _note_order(look: Look, spec: StreamSpec, stream: Stream) -> None:
    """Note what it costs that a stream is read in order, or once more for its checksum."""
    if isinstance(stream, SpooledStream):
        why = "is compressed" if spec.compression else "comes from a server that gives no parts"
        look.note(
            "SOURCE_SPOOLED",
            f"{spec.location} {why}, and its format is read in any order: the copy, and a "
            f"verification, put it into a file without a name in {look.policy.spool_folder} of the "
            f"manager's host first, which may have {format_size(look.policy.spool_size)}.",
        )
        return
    if spec.checksum and not summed_in_passing(look.spec.format, stream, spec):
        look.note(
            "CHECKSUM_PASS",
            f"{spec.location} is read once from its beginning to its end for its checksum, before "
            "anything is copied.",
        )
        return
    why = "its checksum is computed of what is copied" if spec.checksum else ""
    if stream.in_order:
        why = "it is compressed" if spec.compression else "its server gives no parts of it"
    if why:
        look.note(
            "SOURCE_IN_ORDER",
            f"{spec.location} is read by one connection in one go, because {why}: a copy that is "
            "interrupted reads it from its beginning again, and so does a verification.",
        )


def _count(look: Look, content: Content) -> None:
    """How much there is to copy of the head, and whether its beginning and its end can be read."""
    look.to_copy = _counted(content)
    content.read(0, 512)
    if not content.in_order:
        content.read(content.size - 1, 1)


def _counted(content: Content) -> Optional[int]:
    """Bytes of data in a disk; None where it takes too long to ask for them."""
    begin = now = time.monotonic()
    offset, step, total = 0, _SHORTEST_STEP, 0
    while offset < content.size:
        if now - begin > _COUNTING:
            return None
        length = min(step, content.size - offset)
        total += sum(found for _, found in content.extents(offset, length))
        offset, before, now = offset + length, now, time.monotonic()
        factor = 4 if now - before < _STEP else 0.25
        step = max(_SHORTEST_STEP, min(_LONGEST_STEP, int(step * factor)))
    return total
