"""Holds of migrations that get no data from their source."""

from __future__ import annotations

from ...model.migration import Hold, Migration
from ...model.states import HoldReason, State
from ...model.units import format_seconds

_RESTS = "Its source failed to answer several times; one migration at a time tries it again."


def standstill(m: Migration, seconds: float) -> Hold:
    """The hold of a migration that moved no data for ``seconds``; an import blames its source."""
    done = "compared" if m.state is State.VERIFYING else "copied"
    reason, look = _cause(m), "check `ceph health`"
    if reason is HoldReason.SOURCE:
        look = f"check whether the source {m.source.spec} answers, then `ceph health`"
    return Hold(reason, f"Nothing was {done} for {format_seconds(seconds)}; {look}.")


def source_rests(m: Migration) -> Hold:
    """The hold of a migration whose source another one tries after many failures."""
    return Hold(_cause(m), _RESTS)


def _cause(m: Migration) -> HoldReason:
    outside = m.imported is not None and m.imported.outside
    return HoldReason.SOURCE if outside else HoldReason.HEALTH
