"""The streams of a disk as QEMU gets them: descriptors of checked files, and sockets to servers."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from ...model.source import StreamSpec
from ..errors import SourceError
from ..file import OpenFile
from ..stream import Identity, Stream
from .served import Served

Node = dict[str, Any]
"""A block node as ``blockdev-add`` takes it."""

Open = Callable[[StreamSpec], Stream]
"""Opens a stream under the import policy. Raises SourceError."""

_LEAST = 10  # descriptors below it are the program's own


def given(file: int) -> int:
    """A copy of a descriptor with a number that the program leaves alone."""
    return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _LEAST)


class Patched(Stream):
    """A stream of which QEMU sees some bytes otherwise. The stream is still its owner's.

    QEMU makes a path of the name of another file, also where that file is given as a socket, and
    fails then. So it does not get to see the name.
    """

    def __init__(self, stream: Stream, patches: dict[int, bytes]) -> None:
        self.label, self.size, self.identity = stream.label, stream.size, stream.identity
        self._stream = stream
        self._patches = patches

    def read_at(self, offset: int, length: int) -> bytes:
        data = bytearray(self._stream.read_at(offset, length))
        for at, patch in self._patches.items():
            begin, end = max(at, offset), min(at + len(patch), offset + len(data))
            if begin < end:
                data[begin - offset : end - offset] = patch[begin - at : end - at]
        return bytes(data)

    def close(self) -> None:
        """The stream is still its owner's."""


@dataclass
class Files:
    """What a disk consists of.

    ``files`` are descriptors of files, ``others`` those of sockets and of what is in memory.
    ``identity``: for each stream, by its location, what shows whether it is still the same.
    """

    open_stream: Open
    files: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    servers: list[Served] = field(default_factory=list)
    identity: dict[str, Identity] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def open(self, spec: StreamSpec) -> Stream:
        """Open a stream for reading it here; ``node`` hands it on. Raises SourceError."""
        stream = self.stack.enter_context(self.open_stream(spec))
        self.identity[spec.location] = dict(stream.identity)
        return stream

    def node(self, stream: Stream, hidden: Optional[dict[int, bytes]] = None) -> Node:
        """The node that reads the stream. It is not to be read here afterwards.

        ``hidden``: what QEMU sees in place of the name of another file, by its offset.
        """
        if isinstance(stream, OpenFile) and not hidden:
            number = given(stream.descriptor)
            self.stack.callback(os.close, number)
            self.files.append(number)
            return {"driver": "file", "filename": f"/proc/self/fd/{number}"}
        ours, theirs = socket.socketpair()
        number = given(theirs.fileno())
        theirs.close()
        self.stack.callback(os.close, number)
        server = Served(Patched(stream, hidden) if hidden else stream, ours)
        self.servers.append(server)
        self.stack.callback(server.close)
        self.others.append(number)
        return {"driver": "nbd", "server": {"type": "fd", "str": str(number)}}

    def in_memory(self, content: bytes) -> int:
        """A descriptor of a file that only exists in memory."""
        made = os.memfd_create("rbd-migration", os.MFD_CLOEXEC)
        try:
            os.write(made, content)
            number = given(made)
        finally:
            os.close(made)
        self.stack.callback(os.close, number)
        self.others.append(number)
        return number

    def failure(self) -> Optional[SourceError]:
        """The first error of a stream that is served, if there was one."""
        return next((s.failure for s in self.servers if s.failure is not None), None)

    def close(self) -> None:
        """Close all of it."""
        self.stack.close()
