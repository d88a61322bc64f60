"""How many ended migrations are kept in the history. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.migration import Migration


def expired(ended: Sequence[Migration], now: float, days: float, count: int) -> list[Migration]:
    """Those of ``ended`` to forget: older than ``days``, or beyond the ``count`` latest."""
    latest = sorted(ended, key=lambda m: m.ended_at or 0.0, reverse=True)
    oldest = now - days * 86400
    return [m for n, m in enumerate(latest) if n >= count or (m.ended_at or 0.0) < oldest]
