"""The state of an inspection, in which formats note what they find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import quote

from ..model.finding import Finding
from ..model.import_policy import ImportPolicy
from ..model.inspection import Inspection, SnapshotInfo
from ..model.source_spec import SourceSpec, StreamSpec
from .errors import SourceError
from .limits import Deadline, Limits
from .problems import found, in_order, of_error
from .stream import Resolve, Stream
from .streams import open_stream


@dataclass
class Look:
    """An unfinished inspection: what was found so far."""

    spec: SourceSpec
    policy: ImportPolicy
    limits: Limits
    resolve_config: Resolve
    deadline: Deadline
    size: Optional[int] = None
    snapshots: list[SnapshotInfo] = field(default_factory=list)
    to_copy: Optional[int] = None
    identity: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    transient: bool = False
    hanging_up: list[str] = field(default_factory=list)
    announcing_close: list[str] = field(default_factory=list)
    cluster_size: Optional[int] = None

    def open(self, stream: StreamSpec) -> Stream:
        """Open a stream of the spec."""
        return open_stream(stream, self.policy, self.limits, self.resolve_config, self.deadline)

    def remember(self, path: str, stream: Stream) -> None:
        """Note the identity of a stream that was read, to recognise it later."""
        self.identity[path] = dict(stream.identity)
        if stream.hangs_up:
            self.hanging_up.append(stream.label)
        if stream.announces_close:
            self.announcing_close.append(stream.label)
        if stream.fickle:
            self.note(
                "SOURCE_FICKLE",
                f"The ETag or date of {stream.label} changes from answer to answer: make sure that "
                "nobody writes to it, and that all servers behind this name have the same file.",
            )

    def note(self, code: str, message: str, remedy: str = "") -> None:
        """Note a declared problem of the source."""
        self.findings.append(found(code, self.spec.label(), message, remedy))

    def sibling_url(self, stream: StreamSpec, name: str) -> str:
        """The URL of a file next to one on a web server; empty if there is no such file."""
        url = f"{stream.url.rpartition('/')[0]}/{quote(name)}"
        if not name or url == stream.url:
            return ""
        try:
            self.open(StreamSpec("http", url=url)).close()
        except SourceError:
            return ""
        return url

    def in_time(self) -> bool:
        """Whether there is time left."""
        return self.deadline.remains()

    def by(self, inspect: Callable[[Look], None]) -> Inspection:
        """Have the source inspected, and return the result. Never raises for a source."""
        try:
            inspect(self)
        except SourceError as error:
            self.findings.append(of_error(error, self.spec.label()))
            self.transient = error.transient
        except Exception as error:  # no contents of a source may affect more than its inspection
            self.note(
                "SOURCE_UNREADABLE",
                f"The source {self.spec.label()} could not be inspected ({type(error).__name__}).",
            )
        return self.done()

    def done(self) -> Inspection:
        """Return the result."""
        return Inspection(
            self.size,
            tuple(self.snapshots),
            self.to_copy,
            self.identity,
            in_order(self.findings),
            tuple(self.details),
            self.transient,
            tuple(dict.fromkeys(self.hanging_up)),
            self.cluster_size,
            tuple(dict.fromkeys(self.announcing_close)),
        )
