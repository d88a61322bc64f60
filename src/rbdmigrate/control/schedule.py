"""Who may act now: picks among the waiting migrations within the limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..model.migration import Op

COPYING = frozenset({Op.EXECUTE})


@dataclass(frozen=True)
class Waiting:
    """A migration that could act: ``since`` is when it was created (seconds since the epoch)."""

    ident: str
    op: Op
    priority: int
    since: float


@dataclass(frozen=True)
class Limits:
    """How many acts at once: copies, and steps that are no copies (prepare, commit, abort)."""

    copies: int
    steps: int


def choose(waiting: Iterable[Waiting], running: Sequence[Op], limits: Limits) -> list[Waiting]:
    """Those of ``waiting`` that may start beside ``running``.

    Higher priority first, then the oldest. Aborts go before other steps of the same priority:
    they are what somebody waits for.
    """
    copies = limits.copies - sum(op in COPYING for op in running)
    steps = limits.steps - sum(op not in COPYING for op in running)
    chosen = []
    order = sorted(waiting, key=lambda w: (-w.priority, w.op is not Op.ABORT, w.since, w.ident))
    for candidate in order:
        if candidate.op in COPYING:
            if copies > 0:
                copies -= 1
                chosen.append(candidate)
        elif steps > 0:
            steps -= 1
            chosen.append(candidate)
    return chosen
