"""How long a migration was held, for each reason, as its record keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .bounds import MAX_DURATION

_LONGEST = 10 * MAX_DURATION  # seconds: a wrong clock must not make a record unreadable


@dataclass(frozen=True)
class HeldTime:
    """The ``seconds`` for which a migration was held for a ``reason``, a ``HoldReason``'s value."""

    reason: str
    seconds: float


def added(held: Iterable[HeldTime], more: Mapping[str, float]) -> tuple[HeldTime, ...]:
    """Return the times with ``more`` seconds by reason, sorted by reason."""
    total = {one.reason: one.seconds for one in held}
    for reason, seconds in more.items():
        total[reason] = min(_LONGEST, total.get(reason, 0.0) + max(0.0, seconds))
    return tuple(HeldTime(reason, total[reason]) for reason in sorted(total))


def by_reason(held: Iterable[HeldTime]) -> dict[str, int]:
    """Return whole seconds by reason, for a Report; those below half a second are left out."""
    return {one.reason: round(one.seconds) for one in held if round(one.seconds)}
