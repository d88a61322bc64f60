"""Inspection: reach a source, and say what it is and what of it librbd cannot read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional

from ..model.finding import Finding
from ..model.reach import Reach
from ..model.source_spec import SourceSpec, StreamSpec
from . import qcow, raw
from .errors import SourceError
from .inspection import Inspection, SnapshotInfo
from .limits import Deadline, Limits
from .problems import found, in_order, of_error
from .stream import Resolve, Stream, no_config
from .streams import open_stream


@dataclass
class Look:
    """An inspection under way: what was found so far."""

    spec: SourceSpec
    reach: Reach
    limits: Limits
    resolve_config: Resolve
    deadline: Deadline
    size: Optional[int] = None
    snapshots: list[SnapshotInfo] = field(default_factory=list)
    allocated: Optional[int] = None
    identity: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    transient: bool = False

    def open(self, stream: StreamSpec) -> Stream:
        """Open a stream of the spec."""
        return open_stream(stream, self.reach, self.limits, self.resolve_config, self.deadline)

    def remember(self, path: str, stream: Stream) -> None:
        """Note by what a stream, which was read, can be told to be the same later."""
        self.identity[path] = dict(stream.identity)
        if stream.fickle:
            self.note(
                "SOURCE_FICKLE",
                f"The ETag or date of {stream.label} changes from answer to answer: make sure that "
                "nobody writes to it, and that all servers behind this name have the same file.",
            )

    def note(self, code: str, message: str, remedy: str = "") -> None:
        """Note a declared problem of the source."""
        self.findings.append(found(code, self.spec.label(), message, remedy))

    def in_time(self) -> bool:
        """Whether there is time left."""
        return self.deadline.remains()

    def done(self) -> Inspection:
        """What was found."""
        return Inspection(
            self.size,
            tuple(self.snapshots),
            self.allocated,
            self.identity,
            in_order(self.findings),
            tuple(self.details),
            self.transient,
        )


def inspect(
    spec: SourceSpec,
    reach: Reach,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> Inspection:
    """What a raw or qcow source is. Never raises for a source: what is wrong is a finding."""
    look = Look(spec, reach, limits, resolve_config, Deadline(limits))
    try:
        _look(look)
    except SourceError as error:
        look.findings.append(of_error(error, spec.label()))
        look.transient = error.transient
    except Exception as error:  # nothing that a source holds may end more than its inspection
        look.note(
            "SOURCE_UNREADABLE",
            f"The source {spec.label()} could not be inspected ({type(error).__name__}).",
        )
    return look.done()


def identify(
    spec: SourceSpec,
    reach: Reach,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> dict[str, dict[str, str]]:
    """The ``identity`` of an Inspection, for the price of a few requests. Never raises.

    Streams that cannot be opened are left out.
    """
    look = Look(spec, reach, limits, resolve_config, Deadline(limits))
    for path, stream_spec in spec.streams():
        with suppress(Exception), look.open(stream_spec) as stream:
            look.remember(path, stream)
    return look.identity


def _look(look: Look) -> None:
    if look.spec.stream is None:
        look.note("SOURCE_NATIVE", f"{look.spec.label()} is inspected through librbd alone.")
        return
    look_at = qcow.look_at if look.spec.format == "qcow" else raw.look_at
    with look.open(look.spec.stream) as stream:
        look_at(look, stream)
        look.remember("stream", stream)
    for number, snapshot in enumerate(look.spec.snapshots):
        with look.open(snapshot.stream) as stream:
            raw.look_at_snapshot(look, snapshot.name, stream)
            look.remember(f"snapshots[{number}].stream", stream)
    _needed(look)


def _needed(look: Look) -> None:
    """What clients need once the target is prepared: they read from the source themselves."""
    kinds = {stream.type: stream.location for _, stream in look.spec.streams()}
    if "file" in kinds:
        look.note(
            "FILE_EVERYWHERE",
            f"Until the commit every host that opens the target has to see {kinds['file']} under "
            "the same path.",
        )
    for kind in sorted(kinds.keys() - {"file"}):
        look.note(
            "NETWORK_EVERYWHERE",
            f"Until the commit every host that opens the target has to reach {kinds[kind]}.",
        )
