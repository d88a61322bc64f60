"""Crashes of librbd: an act that crashed it twice is not retried automatically."""

from __future__ import annotations

import signal
from dataclasses import replace

from ...model.migration import Crashes, Migration
from ...model.states import ActKind
from .failures import CRASHES, FailureReason

_ENOUGH = 2  # crashes in the same act
# Not failed at once: a prepare that crashed is undone first (see prepare_crashed), and nothing else
# may run before the others.
_ACTS_TRIED_AGAIN = (
    ActKind.PREPARE,
    ActKind.UNDO_PREPARE,
    ActKind.COMPLETE_OBJECTS,
    ActKind.REMOVE_COMPARISON_SNAPSHOT,
)


def after_crash(m: Migration, act: ActKind, number: int) -> Migration:
    """Return the record after signal ``number`` (0: none) ended the worker of ``act``.

    Undoing a prepare that crashed does not hide the crashes of the prepare.
    """
    undoes = (
        act is ActKind.UNDO_PREPARE and m.crashes is not None and m.crashes.act is ActKind.PREPARE
    )
    if number not in CRASHES or undoes:
        return m
    before = m.crashes.count if m.crashes is not None and m.crashes.act is act else 0
    return replace(m, crashes=Crashes(act, before + 1))


def crash_reason(
    m: Migration, act: ActKind, number: int, otherwise: FailureReason
) -> FailureReason:
    """The reason why ``act`` failed: ``otherwise``, or that it crashed too often to be retried.

    ``m``: the record before this crash.
    """
    crashes = after_crash(m, act, number).crashes
    if (
        number not in CRASHES
        or act in _ACTS_TRIED_AGAIN
        or crashes is None
        or crashes.count < _ENOUGH
    ):
        return otherwise
    target = m.target.spec
    name = signal.Signals(number).name
    cause = "the cause is not known; please report it with the layout and the source"
    if m.target_changes.removed:
        names = ", ".join(m.target_changes.removed)
        cause = (
            f"snapshots were removed from {target} before its data was copied ({names}); stop its "
            f"clients, which crash too, and go back with `ceph rbd migration abort {target} "
            "--force`"
        )
    doing = otherwise.message.partition(" was ")[0]
    return FailureReason(f"{doing} crashed librbd twice ({name}): {cause}.", False)


def after_success(m: Migration, act: ActKind) -> Migration:
    """Return the record with the crashes that still count after ``act`` was done.

    What undoes a prepare says nothing about whether the next one crashes again.
    """
    return m if act is ActKind.UNDO_PREPARE else replace(m, crashes=None)


def prepare_crashed(m: Migration) -> str:
    """Why the image, which is untouched, is not prepared once more; empty when it can be."""
    crashes = m.crashes
    if crashes is None or crashes.act is not ActKind.PREPARE or crashes.count < _ENOUGH:
        return ""
    return (
        f"Preparing {m.target.spec} crashed librbd twice, and was undone: the source is as it was. "
        "The cause is not known; the manager's log has the signal and the output of librbd. Please "
        "report it with the layout and the source."
    )
