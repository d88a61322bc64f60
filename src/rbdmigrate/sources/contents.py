"""Opening the contents of a source of any format."""

from __future__ import annotations

from errno import EINVAL, ENOENT
from typing import Optional

from ..model.import_policy import ImportPolicy
from ..model.source_spec import SourceSpec
from .content import Content, RawContent
from .errors import SourceError
from .limits import Limits
from .qcow_content import QcowContent
from .stream import Resolve, no_config
from .streams import open_stream


def open_content(
    spec: SourceSpec,
    snapshot: Optional[str],
    policy: ImportPolicy,
    limits: Limits = Limits(total=None),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> Content:
    """Open the head (``None``) or a snapshot of a raw or qcow source. Raises SourceError.

    For a comparison, which takes long, ``limits.total`` has to be None.
    """
    if spec.stream is None:
        raise SourceError("SOURCE_NATIVE", EINVAL, "A native source is read through librbd only.")
    stream_spec = spec.stream
    if snapshot is not None and spec.format == "raw":
        named = [s.stream for s in spec.snapshots if s.name == snapshot]
        if not named:
            raise SourceError(
                "RAW_NO_SNAPSHOT", ENOENT, f"{spec.label()} has no snapshot {snapshot!r}."
            )
        stream_spec = named[0]
    stream = open_stream(stream_spec, policy, limits, resolve_config)
    if spec.format == "raw":
        return RawContent(stream)
    try:
        return QcowContent(stream, snapshot, limits)
    except BaseException:
        stream.close()
        raise
