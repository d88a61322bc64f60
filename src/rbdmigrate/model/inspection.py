"""The result of inspecting an external source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Optional

from .finding import Finding, Severity
from .import_source import ImageIdentity
from .source_image import SourceImage


@dataclass(frozen=True)
class SnapshotInfo:
    """A snapshot of the source, the oldest first. ``size`` in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Inspection:
    """``size``: bytes of the disk; None when unknown. ``to_copy``: bytes that a copy of the head
    and its snapshots moves, if the format tells. ``identity``: for each stream, by its path in the
    spec, values that show whether it is still the same; see ``sources.changes``. ``details``: text
    for people ("qcow version 3, clusters of 64 KiB"). ``transient``: the errors may pass by
    themselves. ``hanging_up``: the URLs whose servers do not keep a connection open.
    ``cluster_size``: bytes of a cluster of a QCOW file. ``announcing_close``: those of
    ``hanging_up`` whose servers say so in their answers. ``unknown_streams``: types of streams that
    librbd does not know; the source was not looked at then. ``image`` and ``image_identity``: of a
    whole image of another cluster.
    """

    size: Optional[int] = None
    snapshots: tuple[SnapshotInfo, ...] = ()
    to_copy: Optional[int] = None
    identity: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    details: tuple[str, ...] = ()
    transient: bool = False
    hanging_up: tuple[str, ...] = ()
    cluster_size: Optional[int] = None
    announcing_close: tuple[str, ...] = ()
    unknown_streams: tuple[str, ...] = ()
    image: Optional[SourceImage] = None
    image_identity: Optional[ImageIdentity] = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid an import."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    def as_raw(self) -> Inspection:
        """The same for an import of the bytes as they are, whatever format they are of."""
        return replace(self, findings=tuple(map(_allowed, self.findings)))


def _allowed(finding: Finding) -> Finding:
    if finding.code != "RAW_CONTAINER":
        return finding
    return replace(finding, severity=Severity.WARNING, errno=0)
