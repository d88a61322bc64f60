"""Crashes of librbd: an act that crashed it twice is not retried automatically."""

from __future__ import annotations

import signal
from dataclasses import replace

from ...model.migration import Crashes, Migration, Op
from .failures import CRASHES, FailureReason

_ENOUGH = 2  # crashes in the same act
# Always retried: a failed prepare is undone first, and nothing else may run before the others.
_TRIED_ON = (Op.PREPARE, Op.UNDO_PREPARE, Op.SETTLE, Op.DROP_POINT)


def after_crash(m: Migration, op: Op, number: int) -> Migration:
    """Return the record after signal ``number`` (0: none) ended the worker of ``op``."""
    if number not in CRASHES:
        return m
    before = m.crashes.count if m.crashes is not None and m.crashes.op is op else 0
    return replace(m, crashes=Crashes(op, before + 1))


def crash_reason(m: Migration, op: Op, number: int, otherwise: FailureReason) -> FailureReason:
    """The reason why ``op`` failed: ``otherwise``, or that it crashed too often to be retried.

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
