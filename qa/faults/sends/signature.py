"""The exact class of incomplete act that a kill left behind.

P: prepare, E: execute, C: commit, A: abort; the number grows with the progress of the act. The
first and the last of each (untouched, done) are not incomplete, but belong to the sequence.
"""

from dataclasses import dataclass
from typing import Optional

import rados

from qa.faults.bench import Bench
from qa.faults.images import Sample
from rbdmigrate.cluster import headers, image_snapshots
from rbdmigrate.cluster.omap import omap_value
from rbdmigrate.model.observation import HeaderState as H

_RESTORING = 3


@dataclass(frozen=True)
class Side:
    """The state of one image according to its objects."""

    directory: bool = False  # its id is in the directory
    named: bool = False  # rbd_id.NAME leads to it
    exists: bool = False  # it has a header object
    state: Optional[H] = None  # of its migration header
    snapshots: int = 0
    half_removed: bool = False  # one of its snapshots is being removed
    trash: Optional[int] = None  # state of its trash entry


def look(bench: Bench, sample: Sample) -> "tuple[Side, Side]":
    """Return the state of source and target."""
    with bench.ioctx(*sample.source[:2]) as ioctx:
        source = _side(ioctx, sample.source[2], sample.ident)
        header = headers.migration_header(ioctx, sample.ident)
    with bench.ioctx(*sample.target[:2]) as ioctx:
        ident = header.image_id if header else headers.image_id(ioctx, sample.target[2])
        if not ident or ident == sample.ident:
            return source, Side()
        return source, _side(ioctx, sample.target[2], ident)


def _side(ioctx: rados.Ioctx, name: str, ident: str) -> Side:
    header = headers.migration_header(ioctx, ident)
    snapshots = image_snapshots.snapshots(ioctx, ident)
    trash = omap_value(ioctx, "rbd_trash", f"id_{ident}")
    return Side(
        directory=headers.image_name(ioctx, ident) is not None,
        named=headers.image_id(ioctx, name) == ident,
        exists=headers.image_exists(ioctx, ident),
        state=header.state if header else None,
        snapshots=len(snapshots),
        half_removed=any(snapshot.in_trash for snapshot in snapshots),
        trash=trash[-1] if trash else None,
    )


def classify(act: str, source: Side, target: Side) -> str:
    """Return the class of an incomplete ``act``."""
    return {"prepare": _prepare, "execute": _execute, "commit": _commit, "abort": _abort}[act](
        source, target
    )


def _prepare(source: Side, target: Side) -> str:
    if source.state is None:
        if source.trash is None:
            return "P0"
        if source.named:
            return "P1"
        return "P2" if source.directory else "P3" if source.trash else "P4"
    if target.state is None:
        if target.exists:
            return "P8"
        return "P7" if target.named else "P6" if target.directory else "P5"
    if target.state is H.PREPARED:
        return "P11"
    return "P10" if source.state is H.PREPARED else "P9"


def _execute(source: Side, target: Side) -> str:
    order = (
        (H.PREPARED, H.PREPARED), (H.EXECUTING, H.PREPARED), (H.EXECUTING, H.EXECUTING),
        (H.EXECUTED, H.EXECUTING), (H.EXECUTED, H.EXECUTED),
    )  # fmt: skip
    states = (source.state, target.state)
    return f"E{order.index(states)}" if states in order else f"E? {states}"


def _commit(source: Side, target: Side) -> str:
    if target.state is not None:
        return "C0"
    if source.exists:
        if source.half_removed:
            return "C2"
        return "C1" if source.snapshots == 2 else "C3"
    return "C5" if source.trash is None else "C4"


def _abort(source: Side, target: Side) -> str:
    if source.state is None:
        return "A9"
    if source.trash is None:
        return "A8"
    if source.trash == _RESTORING:
        return "A7"
    if target.exists:
        if source.state is not H.ABORTING:
            return "A0"
        if target.state is not H.ABORTING:
            return "A1"
        if target.half_removed:
            return "A3"
        return "A2" if target.snapshots == 2 else "A4"
    return "A5" if target.directory or target.named else "A6"
