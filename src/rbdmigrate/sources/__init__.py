"""External sources without the engine and without Ceph: what they are, and what they hold.

A file for each stream (``file``, ``http``, ``s3``, ``nbd``) and for each format (``qcow``,
``raw``). Whatever a source is, it is hostile until it proved otherwise: sizes, tables, answers and
times are bounded (``limits``), and who may be talked to is decided by the reach policy
(``model/import_policy``), on the very address that is then connected to.

These questions are answered here::

    inspect(spec, ...)        what is it, and what of it can librbd not read?     (never raises)
    identify(spec, ...)       is it still the same? (see changes)                 (never raises)
    open_stream(stream, ...)  its bytes
    open_content(spec, ...)   its disk: an independent reader, which verification compares with
"""

from .content import Content
from .contents import open_content
from .errors import SourceError
from .inspection import Inspection, SnapshotInfo, changes
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
