"""Decompressing zstd with the system's libzstd, in constant memory.

Python has a module for zstd from 3.14 on only, and ceph-mgr needs no other one, such as
``python3-zstandard``. The library is where QEMU's tools, dpkg, rpm and systemd need it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from errno import ENOENT
from functools import lru_cache
from typing import Any

from .errors import SourceError

_LIBRARY = "libzstd.so.1"
PACKAGE = "libzstd1"
_WINDOW_LOG = 27  # 128 MiB: what zstd itself decompresses without --long
_MAX_WINDOW_LOG = 100  # ZSTD_d_windowLogMax
_UNKNOWN = (1 << 64) - 2  # ZSTD_CONTENTSIZE_ERROR, and above it ZSTD_CONTENTSIZE_UNKNOWN
_MOST = 1 << 20  # bytes of a call's output
HEADER = 18  # bytes of a frame's header at most


class ZstdFailed(Exception):
    """The data are not zstd, or need too much memory; says why."""


class _Input(ctypes.Structure):
    _fields_ = (
        ("src", ctypes.c_char_p),
        ("size", ctypes.c_size_t),
        ("pos", ctypes.c_size_t),
    )


class _Output(ctypes.Structure):
    _fields_ = (
        ("dst", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("pos", ctypes.c_size_t),
    )


@lru_cache(maxsize=1)
def _loaded(name: str) -> Any:
    library = ctypes.CDLL(name)
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    library.ZSTD_freeDCtx.argtypes = (ctypes.c_void_p,)
    library.ZSTD_DCtx_setParameter.restype = ctypes.c_size_t
    library.ZSTD_DCtx_setParameter.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_decompressStream.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_Output),
        ctypes.POINTER(_Input),
    )
    library.ZSTD_isError.argtypes = (ctypes.c_size_t,)
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    library.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    library.ZSTD_getFrameContentSize.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    return library


def library() -> Any:
    """The system's libzstd. Raises SourceError where there is none."""
    try:
        return _loaded(_LIBRARY)
    except OSError:
        raise SourceError(
            "ZSTD_MISSING",
            ENOENT,
            f"The host of the active manager does not have {_LIBRARY}, which decompresses zstd; "
            f"install {PACKAGE} (libzstd in some distributions) on every host with a manager.",
            remedy=f"apt install {PACKAGE}",
        ) from None


def content_size(head: bytes) -> int:
    """The bytes that the frame which begins with ``head`` unpacks to, if it says so; else 0."""
    found = int(library().ZSTD_getFrameContentSize(head, len(head)))
    return 0 if found >= _UNKNOWN else found


class ZstdDecompressor:
    """Decompresses one frame, with the methods of ``lzma.LZMADecompressor``."""

    def __init__(self) -> None:
        self._library = library()
        self._context = self._library.ZSTD_createDCtx()
        if not self._context:
            raise MemoryError
        self._check(
            self._library.ZSTD_DCtx_setParameter(self._context, _MAX_WINDOW_LOG, _WINDOW_LOG)
        )
        self._left = b""
        self._more = False
        self.eof = False

    def __del__(self) -> None:
        context, self._context = getattr(self, "_context", None), None
        if context:
            self._library.ZSTD_freeDCtx(context)

    def _check(self, result: int) -> int:
        if self._library.ZSTD_isError(result):
            why = self._library.ZSTD_getErrorName(result).decode("ascii", "replace")
            raise ZstdFailed(why.lower())
        return result

    @property
    def needs_input(self) -> bool:
        """Whether nothing more can be decompressed without more data."""
        return not (self.eof or self._left or self._more)

    @property
    def unused_data(self) -> bytes:
        """What came after the end of the frame."""
        return self._left if self.eof else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes. Raises ZstdFailed."""
        data = self._left + data
        room = max(1, min(max_length, _MOST))
        buffer = ctypes.create_string_buffer(room)
        given = _Input(data, len(data), 0)
        made = _Output(ctypes.addressof(buffer), room, 0)
        result = self._check(
            self._library.ZSTD_decompressStream(
                self._context, ctypes.byref(made), ctypes.byref(given)
            )
        )
        self.eof = result == 0
        self._left = data[given.pos :]
        self._more = made.pos == room
        return buffer.raw[: made.pos]
