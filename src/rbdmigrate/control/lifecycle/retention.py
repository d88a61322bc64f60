"""How many ended migrations are kept in the history. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def expired(ended: Mapping[str, float], now: float, days: float, count: int) -> list[str]:
    """The ids to forget: those that ended ``days`` ago, and all beyond the ``count`` latest.

    ``ended``: by id, when each ended. ``now``, like these, in seconds since the epoch.
    """
    latest = sorted(ended, key=lambda ident: ended[ident], reverse=True)
    oldest = now - days * 86400
    return [ident for n, ident in enumerate(latest) if n >= count or ended[ident] < oldest]
