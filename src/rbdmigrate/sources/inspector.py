"""Inspection: open a source, and find out what it is and what librbd cannot read in it."""

from __future__ import annotations

from contextlib import suppress

from ..model.import_policy import ImportPolicy
from ..model.inspection import Inspection
from ..model.source_spec import SourceSpec
from . import qcow, raw
from .limits import Deadline, Limits
from .look import Look
from .stream import Resolve, no_config


def inspect(
    spec: SourceSpec,
    policy: ImportPolicy,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> Inspection:
    """Inspect a raw or qcow source. Never raises for a source: problems become findings."""
    look = Look(spec, policy, limits, resolve_config, Deadline(limits))
    return look.by(_look)


def identify(
    spec: SourceSpec,
    policy: ImportPolicy,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> dict[str, dict[str, str]]:
    """The ``identity`` of an Inspection, with a few requests. Never raises.

    Streams that cannot be opened are left out.
    """
    look = Look(spec, policy, limits, resolve_config, Deadline(limits))
    for path, stream_spec in spec.streams():
        with suppress(Exception), look.open(stream_spec) as stream:
            look.remember(path, stream)
    return look.identity


def _look(look: Look) -> None:
    if look.spec.stream is None:
        look.note("SOURCE_NATIVE", f"{look.spec.label()} is inspected through librbd only.")
        return
    look_at = qcow.look_at if look.spec.format == "qcow" else raw.look_at
    with look.open(look.spec.stream) as stream:
        look_at(look, stream)
        look.remember("stream", stream)
    for number, snapshot in enumerate(look.spec.snapshots):
        with look.open(snapshot.stream) as stream:
            raw.look_at_snapshot(look, snapshot, stream)
            look.remember(f"snapshots[{number}].stream", stream)
    _needed(look)


def _needed(look: Look) -> None:
    """Findings about hosts of clients, which read from the source once the target is prepared."""
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
