"""Crashes of librbd: after the second in the same act it is not tried again by itself."""

from __future__ import annotations

import signal
from dataclasses import replace

from ...model.migration import Crashes, Migration, Op
from .failures import CRASHES, FailureReason

_ENOUGH = 2  # crashes in the same act
# Undone before it is prepared again, and without them nothing else may be done.
_TRIED_ON = (Op.PREPARE, Op.UNDO_PREPARE, Op.SETTLE, Op.DROP_POINT)


def after_crash(m: Migration, op: Op, number: int) -> Migration:
    """The record after the worker of ``op`` was ended by the signal ``number`` (0: by none)."""
    if number not in CRASHES:
        return m
    before = m.crashes.count if m.crashes is not None and m.crashes.op is op else 0
    return replace(m, crashes=Crashes(op, before + 1))


def crash_reason(m: Migration, op: Op, number: int, otherwise: FailureReason) -> FailureReason:
    """Why ``op`` failed: ``otherwise``, unless it crashed often enough to be given up.

    ``m``: the record before this crash.
    """
    crashes = after_crash(m, op, number).crashes
    if number not in CRASHES or op in _TRIED_ON or crashes is None or crashes.count < _ENOUGH:
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
