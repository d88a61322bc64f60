"""Correct the checksums of VHDX and VHD files and archives, so that a fault behind is reached."""

import struct

_KIB = 1 << 10
_POLYNOMIAL = 0x82F63B78  # of CRC-32C, as VHDX uses it


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = [_entry(byte) for byte in range(256)]


def crc32c(data: bytearray) -> int:
    """Return the CRC-32C of some bytes."""
    found = 0xFFFFFFFF
    for byte in data:
        found = found >> 8 ^ _TABLE[(found ^ byte) & 0xFF]
    return found ^ 0xFFFFFFFF


def correct(data: bytearray, form: str) -> None:
    """Write the checksums that a file of a format has to have: QEMU's name of it, or ``tar``."""
    if form == "vhdx":
        for begin, length in ((64, 4), (128, 4), (192, 64), (256, 64)):
            _vhdx(data, begin * _KIB, length * _KIB)
    elif form == "vpc" and len(data) > 1536:
        _vpc(data, 0, 64)
        _vpc(data, 512, 36)
        _vpc(data, len(data) - 512, 64)
    elif form == "tar":
        for begin in (0, 1024):  # the headers of two short files
            _tar(data, begin)


def _tar(data: bytearray, begin: int) -> None:
    data[begin + 148 : begin + 156] = b" " * 8
    data[begin + 148 : begin + 155] = b"%06o\0" % sum(data[begin : begin + 512])


def _vhdx(data: bytearray, begin: int, length: int) -> None:
    data[begin + 4 : begin + 8] = bytes(4)
    struct.pack_into("<I", data, begin + 4, crc32c(data[begin : begin + length]))


def _vpc(data: bytearray, begin: int, at: int) -> None:
    """A footer, or the header of a dynamic disk."""
    length = 512 if at == 64 else 1024
    if bytes(data[begin : begin + 8]) not in (b"conectix", b"cxsparse"):
        return
    data[begin + at : begin + at + 4] = bytes(4)
    total = sum(data[begin : begin + length]) & 0xFFFFFFFF
    struct.pack_into(">I", data, begin + at, ~total & 0xFFFFFFFF)
