"""The snapshots that each clone of a RADOS object has, as ``rados listsnaps`` shows them.

Neither the Python binding nor the C interface of librados can list them, and starting the command
for each object takes 60 ms. So this calls the one function of the C++ interface that ``rados
listsnaps`` calls too (``librados::IoCtx::list_snaps``): 5,000 objects a second with eight at a
time (measured, release 16). It runs in workers only. The result is checked to be a list of clones,
so that another layout in memory is an error and never a wrong answer.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_char, c_int, c_size_t, c_uint64, c_void_p
from errno import ENOENT, EOPNOTSUPP, EUCLEAN
from typing import Any

from ..model.errors import MigrationError
from ..model.untrimmed import Clone
from .capi import CApiError

_LIST_SNAPS = (
    "_ZN8librados7v14_2_05IoCtx10list_snapsERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
    "PNS_10snap_set_tE"
)
_SNAPSHOT_DIRECTORY = (1 << 64) - 1  # CEPH_SNAPDIR: the read is about all clones
_HEAD = (1 << 64) - 2  # CEPH_NOSNAP: the last of the clones is the head
_MANY = 1 << 20  # clones or snapshots; more are not a valid list


class _Vector(ctypes.Structure):
    _fields_ = (("begin", c_void_p), ("end", c_void_p), ("limit", c_void_p))


class _String(ctypes.Structure):
    _fields_ = (("text", c_void_p), ("length", c_size_t), ("short", c_char * 16))


class _Clone(ctypes.Structure):
    _fields_ = (("id", c_uint64), ("snapshots", _Vector), ("overlap", _Vector), ("size", c_uint64))


class _SnapshotSet(ctypes.Structure):
    _fields_ = (("clones", _Vector), ("sequence", c_uint64))


def _function() -> Any:
    function: Any = getattr(ctypes.CDLL("librados.so.2"), _LIST_SNAPS, None)
    if function is not None:
        function.restype = c_int
        function.argtypes = (c_void_p, c_void_p, c_void_p)
    return function


class ObjectSnapshots:
    """Lists the snapshots of objects in one pool and namespace. Thread-safe.

    ``ioctx``: a handle of the C interface that is used for nothing else. Raises
    MigrationError(EOPNOTSUPP) where this librados does not have the function.
    """

    def __init__(self, ioctx: c_void_p) -> None:
        self._list: Any = _function()
        if self._list is None:
            raise MigrationError(
                EOPNOTSUPP, "This release's librados cannot list an object's snapshots."
            )
        self._found = threading.local()  # reused: librados frees what it held before
        self._this = c_void_p(ioctx.value)  # a C++ IoCtx is a pointer to the object of a C handle
        ctypes.CDLL("librados.so.2").rados_ioctx_snap_set_read(ioctx, c_uint64(_SNAPSHOT_DIRECTORY))

    def clones(self, name: str) -> list[Clone]:
        """Return an object's clones, oldest first, and its head if it has one; empty without the
        object.

        Raises CApiError when RADOS does not answer, MigrationError for an invalid list of clones.
        """
        raw = ctypes.create_string_buffer(name.encode())
        text = _String(ctypes.addressof(raw), len(raw) - 1, b"")
        found = getattr(self._found, "set", None)
        if found is None:
            found = self._found.set = _SnapshotSet()
        result = int(self._list(byref(self._this), byref(text), byref(found)))
        if result == -ENOENT:
            return []
        if result < 0:
            raise CApiError("list_snaps", -result)
        return _clones(found)


def _clones(found: _SnapshotSet) -> list[Clone]:
    listed: list[Clone] = []
    before = 0
    for address in _items(found.clones, ctypes.sizeof(_Clone)):
        clone = _Clone.from_address(address)
        if clone.id == _HEAD:
            listed.append(Clone((), int(clone.size)))
            continue
        snapshots = tuple(
            c_uint64.from_address(at).value
            for at in _items(clone.snapshots, ctypes.sizeof(c_uint64))
        )
        ordered = all(a < b for a, b in zip(snapshots, snapshots[1:]))
        if not ordered or not before < clone.id <= found.sequence or snapshots[-1:] > (clone.id,):
            raise _no_list()
        before = clone.id
        listed.append(Clone(snapshots, int(clone.size)))
    return listed


def _items(vector: _Vector, size: int) -> range:
    """The addresses of the items of a C++ vector."""
    begin, end = vector.begin or 0, vector.end or 0
    if not 0 <= end - begin <= size * _MANY or (end - begin) % size:
        raise _no_list()
    return range(begin, end, size)


def _no_list() -> MigrationError:
    return MigrationError(EUCLEAN, "librados answered with something that is not a list of clones.")
