"""Kills managers and workers at each named point of migrations by the method warm.

Each is done on the way to the commit; on an abort before the cutover; and on an abort after it,
which has to take along what a client wrote to the target.
"""

from collections.abc import Iterator

from qa.faults import sweep
from qa.faults.cases import Case
from qa.faults.sweep import Fault
from rbdmigrate.model.states import ActKind, State

# The writes of a record on its way; see qa.faults.sweep.
_FORTH = (
    ("queued", 1), ("preparing", 1), ("prepared", 1), ("executing", 2), ("executed", 1),
    ("cutting-over", 1), ("cut-over", 1), ("verifying", 1), ("verified", 1), ("committing", 2),
    ("committed", 2),
)  # fmt: skip
_BACK = (("aborting", 2), ("aborted", 2))
# Points of workers: name, detail, pass. A sample has two snapshots, so three are copied.
_COPY = (
    ("warm.before", "snapshot", 1), ("warm.after", "snapshot", 1), ("mover.piece", "", 3),
    ("mover.before", "mark", 1), ("mover.before", "mark", 3), ("mover.after", "mark", 2),
    ("mover.before", "snapshot", 1), ("mover.after", "snapshot", 2), ("mover.before", "remove", 1),
    ("mover.after", "remove", 1),
)  # fmt: skip
_EXCHANGE = tuple(
    (f"cutover.{when}", what, 1)
    for when, what in (
        ("before", "name"), ("between", "name"), ("after", "name"), ("before", "lock"),
        ("after", "lock"), ("before", "publish"), ("after", "publish"), ("after", "complete"),
    )
)  # fmt: skip
_FEATURE = (("cutover.before", "feature", 1), ("cutover.after", "feature", 1))
_TARGET = (("warm.made", "", 1), ("warm.marked", "", 1))
_REMOVAL = (("removal.after", "snapshot", 1), ("warm.after", "source", 1))
_WAY_BACK = (("back.before", "mark", 1), ("back.after", "mark", 1))
_GONE = (("warm.before", "remove", 1), ("warm.after", "remove", 1))
_VARIANTS = ("warm", "warm-in-place", "warm-namespace", "warm-clone")
_QUICK = {
    "store.write.after cutting-over #1",
    "cutover.after publish #1",
    "back.after mark from cut-over #1",
}


def cases() -> "list[Case]":
    """Return all faults of migrations by the method warm."""
    found = []
    for number, fault in enumerate(_faults()):
        placed = fault if fault.variants else _placed(fault, _VARIANTS[number % len(_VARIANTS)])
        found.append(Case(f"warm: {placed.name}", sweep.runner(placed), fault.short in _QUICK))
    return found


def _placed(fault: Fault, variant: str) -> Fault:
    return Fault(fault.point, fault.detail, fault.nth, fault.aborting, (variant,))


def _faults() -> Iterator[Fault]:
    for moment in ("before", "after"):
        point = f"store.write.{moment}"
        for state, writes in _FORTH:
            for nth in range(1, writes + 1):
                yield Fault(point, state, nth)
        yield Fault(f"store.remove.{moment}", "", 1)
        for begin in (State.EXECUTED, State.CUT_OVER):
            yield Fault(point, begin.value, 1, begin)  # the request to abort
            for state, writes in _BACK:
                for nth in range(1, writes + 1):
                    yield Fault(point, state, nth, begin)
            yield Fault(f"store.remove.{moment}", "", 1, begin)
    for point, detail, nth in (*_TARGET, *_COPY, *_EXCHANGE, *_REMOVAL):
        yield Fault(point, detail, nth)
    for point, detail, nth in (*_WAY_BACK, *_EXCHANGE, *_GONE):
        yield Fault(point, detail, nth, State.CUT_OVER)
    for point, detail, nth in _GONE:
        yield Fault(point, detail, nth, State.EXECUTED)
    for point, detail, nth in _FEATURE:
        yield Fault(point, detail, nth, variants=("warm-no-lock",))
    yield Fault("cutover.before", "restore", 1, variants=("warm",))
    for where in ("worker.before", "worker.after"):
        for act in (
            ActKind.PREPARE,
            ActKind.EXECUTE,
            ActKind.CUT_OVER,
            ActKind.VERIFY,
            ActKind.COMMIT,
        ):
            yield Fault(where, act.value, 1)
        for begin in (State.EXECUTED, State.CUT_OVER):
            yield Fault(where, ActKind.ABORT.value, 1, begin)
