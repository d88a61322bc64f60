"""Reading librbd's object maps as plain RADOS objects: two bits for each object of a view.

The object is a bit vector: a header of 18 bytes that ends with the number of objects, then the
states, four in a byte, the first one in the highest bits (src/common/bit_vector.hpp in Ceph, the
same from release 16 to 20). librbd's own ``diff_iterate`` takes 0.2 s for an image of 1 TiB.
"""

from __future__ import annotations

import struct
from typing import Optional

import rados

_HEADER = struct.Struct("<IBBIQ")
_PIECE = 4 << 20  # bytes read at once


def object_states(ioctx: rados.Ioctx, ident: str, snap_id: Optional[int]) -> Optional[bytes]:
    """The states of the objects of a snapshot, or of the head (None), four in a byte.

    None: there is no map, or none of this form.
    """
    oid = f"rbd_object_map.{ident}" + (f".{snap_id:016x}" if snap_id is not None else "")
    try:
        found = ioctx.read(oid, _HEADER.size)
    except rados.ObjectNotFound:
        return None
    if len(found) < _HEADER.size:
        return None
    *form, count = _HEADER.unpack(found)
    if form != [14, 1, 1, 8]:
        return None
    size = -(-count // 4)
    states = b""
    while len(states) < size:
        part = ioctx.read(oid, min(_PIECE, size - len(states)), _HEADER.size + len(states))
        if not part:
            return None
        states += part
    return states
