"""Opening a stream of any type."""

from __future__ import annotations

from typing import Optional

from ..model.reach import Reach
from ..model.source import StreamSpec
from .file import FileStream
from .limits import Deadline, Limits
from .stream import Resolve, Stream, no_config


def open_stream(
    stream: StreamSpec,
    reach: Reach,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
    deadline: Optional[Deadline] = None,
) -> Stream:
    """The open stream. Raises SourceError."""
    deadline = deadline or Deadline(limits)
    if stream.type == "file":
        return FileStream(stream.file_path, reach)
    raise AssertionError(f"no stream of type {stream.type}")
