"""What is named as the cause when a migration gets nothing from its source."""

from __future__ import annotations

from ...model.migration import Hold, HoldReason, Migration, State
from ...model.units import format_seconds

_RESTS = "Its source failed to answer several times; one migration at a time tries it again."


def standstill(m: Migration, seconds: float) -> Hold:
    """Nothing moved for so long: for an import its source is the first to look at."""
    done = "compared" if m.state is State.VERIFYING else "copied"
    reason, look = _cause(m), "look at `ceph health`"
    if reason is HoldReason.SOURCE:
        look = f"look whether the source {m.source.spec} answers, then at `ceph health`"
    return Hold(reason, f"Nothing was {done} for {format_seconds(seconds)}; {look}.")


def source_rests(m: Migration) -> Hold:
    """The source failed so often that another migration tries it now."""
    return Hold(_cause(m), _RESTS)


def _cause(m: Migration) -> HoldReason:
    outside = m.imported is not None and not m.imported.native
    return HoldReason.SOURCE if outside else HoldReason.HEALTH
