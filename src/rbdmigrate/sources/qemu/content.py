"""The disk in a file of any format, as QEMU reads it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import EIO
from typing import Optional

from ...model.source import StreamSpec
from ..content import Content
from ..conversion import repaired
from ..errors import SourceError
from . import parallels_map, vdi_map, vhd_map, vhdx_map
from .block_map import BlockMap
from .chain import node_of
from .files import Files, Open
from .nbd_client import NbdClient, NbdFailed, ReadDone
from .process import QemuProcess

_PIECE = 1 << 20  # bytes of a request
_OPENING = 15.0  # seconds for QEMU to open a disk
_PATIENCE = 120.0  # seconds for an answer, with a server behind it that is slow
_SECRET = "passphrase"
_MAPS: dict[str, Callable[[int], Optional[BlockMap]]] = {
    "parallels": parallels_map.read_map,
    "vdi": vdi_map.read_map,
    "vhdx": vhdx_map.read_map,
    "vpc": vhd_map.read_map,
}
_READERS = 4  # threads that read the file itself
_LOG = "contains a log that needs to be replayed"  # as QEMU says of a VHDX file (7.2 to 10.1)


class QemuContent(Content):
    """A disk, or an internal snapshot of it (by its ``ident``). Reads are thread-safe.

    ``size``: bytes of the snapshot, which may be smaller than the disk. ``seconds``: processor
    time of QEMU, 0 for no limit. Raises SourceError.
    """

    def __init__(
        self,
        open_stream: Open,
        spec: StreamSpec,
        kind: str,
        *,
        passphrase: bytes = b"",
        ident: Optional[str] = None,
        size: Optional[int] = None,
        seconds: int = 0,
    ) -> None:
        self._label = spec.location
        self._files = Files(open_stream)
        self._process: Optional[QemuProcess] = None
        self._client: Optional[NbdClient] = None
        self._readers = ThreadPoolExecutor(_READERS)  # begins a thread when it needs one
        try:
            secrets = {}
            if passphrase:
                secrets[_SECRET] = self._files.in_memory(passphrase)
            self._map: Optional[BlockMap] = None
            disk = node_of(self._files, spec, kind, _SECRET if passphrase else "")
            self._process = QemuProcess(
                label=self._label,
                disk=disk,
                files=self._files.files,
                others=self._files.others,
                secrets=secrets,
                snapshot=ident,
                seconds=seconds,
            )
            if kind in _MAPS and self._files.files:
                self._map = _MAPS[kind](self._files.files[0])
            connection = self._process.sockets[0]
            self._client = NbdClient(connection, opening=_OPENING, patience=_PATIENCE)
        except NbdFailed:
            assert self._process is not None
            error = self._files.failure() or self._refused(self._process.ended(), spec)
            self.close()
            raise error from None
        except BaseException:
            self.close()
            raise
        self.size = self._client.size if size is None else size
        if self.size > self._client.size:
            larger = self._client.size
            self.close()
            raise SourceError(
                "QCOW_SNAPSHOT_LARGER",
                EIO,
                f"A snapshot of {self._label} has {self.size} bytes and the disk {larger}, and "
                "QEMU does not read what is beyond that; enlarge the disk, or delete the snapshot.",
            )

    def _refused(self, error: SourceError, spec: StreamSpec) -> SourceError:
        """What QEMU says when it does not open a disk, where more can be said about it."""
        assert self._process is not None
        if not self._process.complained(_LOG):
            return error
        return SourceError(
            "VHDX_LOG",
            EIO,
            f"{self._label} was not closed properly: it has a log that has to be replayed first, "
            "on a copy.",
            remedy=repaired(spec),
        )

    @property
    def client(self) -> NbdClient:
        """The connection to QEMU."""
        assert self._client is not None
        return self._client

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        end = min(offset + length, self.size)
        if offset >= end:
            return
        if self._map is not None:
            yield from self._map.extents(offset, end - offset)
            return
        try:
            yield from self.client.data(offset, end - offset)
        except NbdFailed as failed:
            raise self.explained(failed.errno, offset) from None

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        parts = [
            _Part(at, min(_PIECE, offset + length - at))
            for at in range(offset, offset + length, _PIECE)
        ]
        for part in parts:
            self._ask(part.offset, part.length, part.done)
        for part in parts:
            part.ended.wait()
        for part in parts:
            if part.errno:
                raise self.explained(part.errno, part.offset)
        return b"".join(part.content for part in parts)

    def begin_read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read; ``done`` is called in another thread.

        Where the map tells where the bytes are in the file, they are read there: through QEMU they
        cost twice the processor time. ``read`` asks QEMU alone, so that a verification compares
        with what QEMU reads.
        """
        parts = None if self._map is None else self._map.parts(offset, length)
        if parts is None:
            self._ask(offset, length, done)
        else:
            self._readers.submit(self._read_file, parts, offset, length, done)

    def _read_file(
        self, parts: list[tuple[int, int]], offset: int, length: int, done: ReadDone
    ) -> None:
        try:
            file = self._files.files[0]
            found = [os.pread(file, size, at) for at, size in parts]
        except OSError:
            found = []
        content = found[0] if len(found) == 1 else b"".join(found)
        if len(content) == length:
            done(0, content)
        else:
            self._ask(offset, length, done)  # QEMU says what is wrong

    def _ask(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read by QEMU."""
        try:
            self.client.read(offset, length, done)
        except NbdFailed as failed:
            done(failed.errno, b"")

    def explained(self, errno: int, offset: int) -> SourceError:
        """The error for a request that failed with ``errno``."""
        failure = self._files.failure()
        if failure is not None:
            return failure
        if self.client.failed:
            assert self._process is not None
            return self._process.ended()
        return SourceError(
            "QEMU_READ",
            errno or EIO,
            f"QEMU cannot read {self._label} at the byte {offset} of the disk "
            f"({os.strerror(errno or EIO).lower()}); look at the file with `qemu-img check`.",
        )

    def close(self) -> None:
        self._readers.shutdown()
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            self._process.close()
        self._files.close()


class _Part:
    """One request of a read."""

    def __init__(self, offset: int, length: int) -> None:
        self.offset = offset
        self.length = length
        self.ended = threading.Event()
        self.errno = 0
        self.content = b""

    def done(self, errno: int, content: bytes) -> None:
        """Take the answer."""
        self.errno, self.content = errno, content
        self.ended.set()
