"""The common interface of all streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from errno import EIO, EPERM
from types import TracebackType
from typing import Optional, Protocol, TypeVar

from .errors import SourceError

S = TypeVar("S", bound="Stream")
BLOCK = 4 << 20  # bytes that are read at a time from the first to the last
Identity = dict[str, str]
"""Values that show whether a source is still the same: its size, ETag, times. Plain data."""

Resolve = Callable[[str, str], str]
"""Returns the value of a config-key for the server of a URL. Raises MigrationError when the key
does not exist, or may not be sent to that server.
"""


def key_forbidden(why: str) -> SourceError:
    """The error of a Resolve for a config-key that may not be used, or not sent to the server."""
    return SourceError("CONFIG_KEY_FORBIDDEN", EPERM, f"{why}.")


def no_config(key: str, url: str) -> str:
    """A Resolve for callers without a cluster."""
    raise SourceError("CONFIG_KEY_MISSING", EIO, f"The config-key {key} cannot be read from here.")


class Bytes(Protocol):
    """Bytes that are read from the first to the last, and never again. Not thread-safe."""

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""

    def close(self) -> None:
        """End it. Never raises."""


class Stream(ABC):
    """An open source of bytes. Not thread-safe: one request at a time.

    ``size`` is in bytes; 0 where it is not ``known_size``. ``label`` is its name in messages.
    ``in_order``: it is read by ``begin``, or forwards, and not anywhere at once. ``fickle``: its
    tags change from answer to answer. ``hangs_up``: its server ended a connection that could have
    been kept open. ``announces_close``: the server said so in an answer, by a header or by
    HTTP/1.0. ``complete``: not only its beginning, which was taken for a look.
    """

    label: str
    size: int
    identity: Identity
    known_size: bool = True
    in_order: bool = False
    fickle: bool = False
    hangs_up: bool = False
    complete: bool = True
    announces_close: bool = False

    @abstractmethod
    def read_at(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset`` on, all inside the stream. Raises SourceError."""

    @abstractmethod
    def close(self) -> None:
        """Close it. Never raises."""

    def begin(self) -> Bytes:
        """All of its bytes from the first on. Raises SourceError."""
        return _BytesOf(self)

    def finish(self) -> None:  # noqa: B027 - most have nothing to compare
        """Require, at the end of a copy, that all was right. Raises SourceError."""

    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``; fewer only at the end. Raises SourceError."""
        length = max(0, min(length, self.size - offset))
        if not length:
            return b""
        data = self.read_at(offset, length)
        if len(data) != length:
            raise SourceError(
                "SOURCE_TRUNCATED",
                EIO,
                f"{self.label} gave {len(data)} bytes at {offset} where it should have {length}: "
                "it was truncated or changed in the meantime.",
            )
        return data

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class _BytesOf:
    """The bytes of a stream that is read anywhere."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._position = 0
        self._ahead = b""

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        if not self._ahead:
            self._ahead = self._stream.read(self._position, BLOCK)
            self._position += len(self._ahead)
        found, self._ahead = self._ahead[:length], self._ahead[length:]
        return found

    def close(self) -> None:
        """The stream is still its owner's."""
