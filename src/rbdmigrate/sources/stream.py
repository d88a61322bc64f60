"""What every stream can do, whatever is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from errno import EIO, EPERM
from types import TracebackType
from typing import Optional, TypeVar

from .errors import SourceError

S = TypeVar("S", bound="Stream")
Identity = dict[str, str]
"""What tells whether a source is still the same: its size, ETag, times. Plain data."""

Resolve = Callable[[str, str], str]
"""From a config-key, and the URL whose server gets it, to its value.

Raises MigrationError when there is none, or when it may not be sent there.
"""


def key_forbidden(why: str) -> SourceError:
    """What a Resolve raises for a config-key that may not be used, or not sent there."""
    return SourceError("CONFIG_KEY_FORBIDDEN", EPERM, f"{why}.")


def no_config(key: str, url: str) -> str:
    """A Resolve for those that have no cluster to ask."""
    raise SourceError("CONFIG_KEY_MISSING", EIO, f"The config-key {key} cannot be read from here.")


class Stream(ABC):
    """An open source of bytes. Not thread-safe: one request at a time.

    ``size`` is in bytes. ``label`` is what to call it in a sentence. ``fickle``: its tags change
    from answer to answer. ``hangs_up``: its server ended a connection that could have been kept.
    """

    label: str
    size: int
    identity: Identity
    fickle: bool = False
    hangs_up: bool = False

    @abstractmethod
    def read_at(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on, both inside the stream. Raises SourceError."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it. Never raises."""

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on; fewer only where the stream ends. SourceError."""
        length = max(0, min(length, self.size - offset))
        if not length:
            return b""
        data = self.read_at(offset, length)
        if len(data) != length:
            raise SourceError(
                "SOURCE_TRUNCATED",
                EIO,
                f"{self.label} gave {len(data)} bytes at {offset} where it should have {length}: "
                "it was cut off or changed meanwhile.",
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
