"""How many bytes an .xz file unpacks to, as the index at its end says."""

from __future__ import annotations

import struct
import zlib
from typing import Optional

from .stream import Stream

_FOOTER = 12  # bytes
_HEADER = 12
_LONGEST_INDEX = 4 << 20  # bytes: of 16 TiB in blocks of 64 MiB
_MOST_STREAMS = 1000  # one after another in a file


def unpacked_size(stream: Stream) -> Optional[int]:
    """The bytes; None where the end of the file does not say it. Raises SourceError."""
    end, total = stream.size, 0
    for _ in range(_MOST_STREAMS):
        end = _without_padding(stream, end)
        if end == 0:
            return total
        found = _stream_before(stream, end)
        if found is None:
            return None
        size, end = found
        total += size
    return None


def _without_padding(stream: Stream, end: int) -> int:
    """The end of the last stream before ``end``; zeros may follow it, in fours."""
    while end >= 4 and stream.read(end - 4, 4) == bytes(4):
        end -= 4
        if stream.size - end > 64 << 10:
            return 4  # not that many: what is there is no stream
    return end


def _stream_before(stream: Stream, end: int) -> Optional[tuple[int, int]]:
    """(bytes it unpacks to, its beginning) of the stream that ends there; None if none does."""
    if end < _FOOTER + _HEADER:
        return None
    footer = stream.read(end - _FOOTER, _FOOTER)
    crc, backward = struct.unpack("<II", footer[:8])
    if footer[10:] != b"YZ" or zlib.crc32(footer[4:10]) != crc:
        return None
    length = (backward + 1) * 4
    if length > min(_LONGEST_INDEX, end - _FOOTER - _HEADER):
        return None
    index = stream.read(end - _FOOTER - length, length)
    if index[:1] != b"\0" or zlib.crc32(index[:-4]) != int.from_bytes(index[-4:], "little"):
        return None
    try:
        blocks, size = _sums(index)
    except IndexError:
        return None
    begin = end - _FOOTER - length - blocks - _HEADER
    return None if begin < 0 else (size, begin)


def _sums(index: bytes) -> tuple[int, int]:
    """The bytes of all blocks in the file, and unpacked."""
    count, at = _number(index, 1)
    blocks = size = 0
    for _ in range(count):
        packed, at = _number(index, at)
        unpacked, at = _number(index, at)
        blocks += -(-packed // 4) * 4
        size += unpacked
    return blocks, size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, in groups of seven bits, and where it ends. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
