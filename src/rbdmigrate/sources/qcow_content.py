"""A reader of the disk in a QCOW file, independent of librbd and QEMU."""

from __future__ import annotations

from collections.abc import Iterator
from errno import ENOENT, EOPNOTSUPP
from typing import Optional

from .content import Content
from .errors import SourceError
from .limits import Limits
from .qcow_entries import host_offset, is_compressed, is_zero
from .qcow_header import DATA_FILE, EXTENDED_L2, parse_header
from .qcow_tables import Tables, View, read_snapshots, read_view
from .stream import Stream


class QcowContent(Content):
    """The head or a snapshot of a file of version 1, 2 or 3 that librbd can read, too."""

    def __init__(self, stream: Stream, snapshot: Optional[str], limits: Limits) -> None:
        self._stream = stream
        self._header = parse_header(stream)
        header = self._header
        if header.crypt or header.backing_file or header.features & (DATA_FILE | EXTENDED_L2):
            raise SourceError(
                "QCOW_FEATURE",
                EOPNOTSUPP,
                f"{stream.label} is encrypted, needs another file or has extended L2 entries, so "
                "its contents cannot be read.",
            )
        self._tables = Tables(stream, header)
        self._view = self._find(snapshot, limits)
        self.size = self._view.size

    def _find(self, snapshot: Optional[str], limits: Limits) -> View:
        if snapshot is None:
            return read_view(self._stream, self._header, limits, None)
        for found in read_snapshots(self._stream, self._header, limits):
            if found.name == snapshot:
                return read_view(self._stream, self._header, limits, found)
        raise SourceError(
            "QCOW_NO_SNAPSHOT", ENOENT, f"{self._stream.label} has no snapshot {snapshot!r}."
        )

    def _clusters(self, offset: int, end: int) -> Iterator[tuple[int, int]]:
        """(cluster, offset in the file) of the clusters with data, in order."""
        bits, header = self._header.cluster_bits, self._header
        for cluster, entry in self._tables.entries(self._view, offset >> bits, -(-end >> bits)):
            if is_zero(header, entry):
                continue
            if is_compressed(header, entry):
                raise SourceError(
                    "QCOW_COMPRESSED",
                    EOPNOTSUPP,
                    f"{self._stream.label} has compressed clusters, which are not read.",
                )
            place = host_offset(header, entry)
            if place:
                yield cluster, place

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        end = min(offset + length, self.size)
        found = self._clusters(offset, end) if offset < end else iter(())
        return self._joined((cluster for cluster, _ in found), offset, end)

    def changed(self, before: Content) -> Iterator[tuple[int, int]]:
        if not isinstance(before, QcowContent):
            return self.extents(0, self.size)
        return self._joined(self._changed_clusters(before), 0, self.size)

    def _changed_clusters(self, before: QcowContent) -> Iterator[int]:
        """Clusters with data whose offset in the file differs from that in ``before``."""
        others = before._clusters(0, before.size)
        other = next(others, None)
        for cluster, place in self._clusters(0, self.size):
            while other is not None and other[0] < cluster:
                other = next(others, None)
            if other != (cluster, place):
                yield cluster

    def _joined(self, clusters: Iterator[int], offset: int, end: int) -> Iterator[tuple[int, int]]:
        """The extents of sorted clusters between ``offset`` and ``end``, with neighbours joined."""
        bits = self._header.cluster_bits
        begin = stop = -1
        for cluster in clusters:
            if cluster << bits != stop:
                if stop > begin:
                    yield _clipped(begin, stop, offset, end)
                begin = cluster << bits
            stop = (cluster + 1) << bits
        if stop > begin:
            yield _clipped(begin, stop, offset, end)

    def read(self, offset: int, length: int) -> bytes:
        end, bits = min(offset + length, self.size), self._header.cluster_bits
        if offset >= end:
            return b""
        data = bytearray(end - offset)
        # Clusters adjacent on the disk and in the file are read together.
        begin = stop = place = 0
        for cluster, where in self._clusters(offset, end):
            if stop > begin and cluster << bits == stop and where == place + stop - begin:
                stop += 1 << bits
                continue
            self._put(data, offset, end, begin, stop, place)
            begin, stop, place = cluster << bits, (cluster + 1) << bits, where
        self._put(data, offset, end, begin, stop, place)
        return bytes(data)

    def _put(self, data: bytearray, offset: int, end: int, begin: int, stop: int, at: int) -> None:
        """Read the disk from ``begin`` to ``stop``, stored in the file from ``at`` on.

        Bytes beyond the file's end read as zeros, as in QEMU.
        """
        first, last = max(begin, offset), min(stop, end)
        if first < last:
            found = self._stream.read(at + first - begin, last - first)
            data[first - offset : first - offset + len(found)] = found

    def close(self) -> None:
        self._stream.close()


def _clipped(begin: int, stop: int, offset: int, end: int) -> tuple[int, int]:
    first = max(begin, offset)
    return first, min(stop, end) - first
