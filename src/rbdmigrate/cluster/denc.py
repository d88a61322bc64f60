"""The few pieces of Ceph's wire encoding that image headers, trash entries and locks use.

Little-endian integers, length-prefixed strings, and versioned structures that carry their own
length, so that a field added by a newer release is skipped (doc/dev/encoding in Ceph).
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class DecodeError(ValueError):
    """The bytes do not follow the encoding."""


class Frame(NamedTuple):
    """An open versioned structure: its version and the offset at which it ends."""

    version: int
    end: int


class Decoder:
    """Reads values off ``data`` in order; raises DecodeError when it runs out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _unpack(self, form: str, size: int) -> int:
        end = self._at + size
        if end > len(self._data):
            raise DecodeError(f"{size} bytes wanted at {self._at} of {len(self._data)}")
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at = end
        return int(value)

    def u8(self) -> int:
        """An unsigned byte."""
        return self._unpack("<B", 1)

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        return self._unpack("<I", 4)

    def u64(self) -> int:
        """An unsigned 64-bit integer."""
        return self._unpack("<Q", 8)

    def s64(self) -> int:
        """A signed 64-bit integer."""
        return self._unpack("<q", 8)

    def raw(self, size: int) -> bytes:
        """``size`` bytes as they are."""
        end = self._at + size
        if end > len(self._data):
            raise DecodeError(f"{size} bytes wanted at {self._at} of {len(self._data)}")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def string(self) -> str:
        """A length-prefixed UTF-8 string (undecodable bytes are escaped, never lost)."""
        return self.raw(self.u32()).decode("utf-8", "surrogateescape")

    def start(self) -> Frame:
        """Enter a versioned structure."""
        version = self.u8()
        self.u8()  # the oldest version that can read it; unknown fields are skipped
        return Frame(version, self.u32() + self._at)

    def left(self, frame: Frame) -> int:
        """The bytes of ``frame`` that were not read yet."""
        return frame.end - self._at

    def finish(self, frame: Frame) -> None:
        """Leave a versioned structure, skipping the rest of it."""
        if self._at > frame.end or frame.end > len(self._data):
            raise DecodeError(f"a structure ends at {frame.end}, read up to {self._at}")
        self._at = frame.end


def encode_string(text: str) -> bytes:
    """A length-prefixed string, as class methods take their arguments."""
    raw = text.encode("utf-8", "surrogateescape")
    return struct.pack("<I", len(raw)) + raw


_REQUEST_LOCK = 2


def requests_lock(notification: bytes) -> bool:
    """Whether a notification on an image's header asks its owner for the exclusive lock.

    librbd's notifications begin with their kind, in a versioned structure.
    """
    payload = Decoder(notification)
    try:
        payload.start()
        return payload.u32() == _REQUEST_LOCK
    except DecodeError:
        return False
