"""Opening a stream of any type."""

from __future__ import annotations

from typing import Optional

from ..model.import_policy import ImportPolicy
from ..model.source import StreamSpec
from .file import FileStream
from .http import HttpStream
from .limits import Deadline, Limits
from .nbd import NbdStream
from .net import Rules
from .s3 import S3Stream
from .stream import Resolve, Stream, no_config


def open_stream(
    stream: StreamSpec,
    reach: ImportPolicy,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
    deadline: Optional[Deadline] = None,
) -> Stream:
    """Open a stream. Raises SourceError. ``deadline`` is shared by all streams of an inspection."""
    rules = Rules(reach, limits, deadline or Deadline(limits))
    if stream.type == "file":
        return FileStream(stream.file_path, reach)
    if stream.type == "http":
        return HttpStream(stream.url, rules)
    if stream.type == "s3":
        return S3Stream(stream, rules, resolve_config)
    return NbdStream(stream.uri, rules)
