"""External sources of imports: inspection and reading, without the engine and without Ceph.

A file for each stream (``file``, ``http``, ``s3``, ``nbd``) and for each format (``qcow``,
``raw``). Every source is treated as hostile: sizes, tables, answers and times are bounded
(``limits``), and the import policy (``model/import_policy``) decides which hosts are allowed, on
the same address that is then connected to.

The entry points::

    inspect(spec, ...)        what is it, and what of it can librbd not read?     (never raises)
    identify(spec, ...)       is it still the same? (see changes)                 (never raises)
    open_stream(stream, ...)  its bytes
    open_content(spec, ...)   its disk: an independent reader, which verification compares with
"""

from ..model.inspection import Inspection, SnapshotInfo
from .changes import changes
from .content import Content
from .contents import open_content
from .errors import SourceError
from .inspector import identify, inspect
from .limits import Limits
from .stream import Stream
from .streams import open_stream

__all__ = [
    "Content",
    "Inspection",
    "Limits",
    "SnapshotInfo",
    "SourceError",
    "Stream",
    "changes",
    "identify",
    "inspect",
    "open_content",
    "open_stream",
]
