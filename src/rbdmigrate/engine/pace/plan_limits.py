"""What plans mean for the pace of their migrations: holds, rates, limits. Asked by the loop."""

from __future__ import annotations

from typing import Optional

from ...model.migration import Hold, Migration
from ...model.plan import Definition, PlanState
from ...model.states import ActKind, HoldReason
from ..records.plan_registry import PlanRegistry

_FORWARD_ACTS = frozenset(
    {ActKind.PREPARE, ActKind.EXECUTE, ActKind.CUT_OVER, ActKind.VERIFY, ActKind.COMMIT}
)  # the others undo, complete or remove something


class PlanPace:
    """Thread-safe."""

    def __init__(self, plan_registry: PlanRegistry) -> None:
        self._plan_registry = plan_registry

    def hold(self, m: Migration, act: ActKind = ActKind.EXECUTE) -> Optional[Hold]:
        """Why the act ``act`` of a migration has to wait because of its plan."""
        if not m.plan or act not in _FORWARD_ACTS:
            return None
        kept = self._plan_registry.get(m.plan)
        if kept is None:
            if self._plan_registry.complete():
                return None  # it was removed
            return Hold(HoldReason.PLAN, f"Its plan {m.plan} is not known yet: a pool is silent.")
        if kept.plan.state is PlanState.PAUSED:
            return Hold(
                HoldReason.PLAN,
                f"Its plan is paused; `ceph rbd migration plan resume {m.plan}` lets it go on.",
            )
        if kept.plan.state is PlanState.CANCELLING:
            return Hold(HoldReason.PLAN, f"Its plan {m.plan} is being cancelled.")
        if kept.plan.definition.rate == 0 and act in (ActKind.EXECUTE, ActKind.VERIFY):
            return Hold(HoldReason.PLAN, f"The rate of its plan {m.plan} is 0.")
        return None

    def rates(self) -> dict[str, Optional[int]]:
        """Bytes per second of all copies of a plan together, by its name."""
        return {d.name: d.rate for d in self._definitions() if d.rate is not None}

    def limits(self) -> dict[str, int]:
        """Copies of a plan at once, by its name."""
        return {d.name: d.max_copies for d in self._definitions() if d.max_copies}

    def _definitions(self) -> list[Definition]:
        return [kept.plan.definition for kept in self._plan_registry.all()]
