"""Why something must not run now: plans, windows, caps of 0, health gates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

from ...control.hooks.events import pools_of
from ...control.hooks.questions import commit_agreed, waits_for_hooks
from ...control.lifecycle.schedule import PACED_ACTS, READING_ACTS
from ...control.pace.health_gates import Level
from ...control.pace.window import Window
from ...model.errors import MigrationError
from ...model.hooks import HookEvent
from ...model.migration import Hold, Migration
from ...model.references import refuse_import
from ...model.states import ActKind, HoldReason
from ..hooks.definitions import HookRegistry
from ..settings import Settings
from .cluster_monitor import ClusterMonitor
from .cutover_holds import CutoverHolds
from .plan_limits import PlanPace
from .throttle import Throttle
from .windows import closed, parsed

_ASKED = HookEvent.BEFORE_COMMIT
_STALE = 1.0  # seconds for which a window's state is remembered: thousands may ask


@dataclass(frozen=True)
class Gates:
    """What a cutover and a commit may have to wait for."""

    cutovers: CutoverHolds
    hooks: HookRegistry


class Holds:
    """Says what holds a copy. Thread-safe."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        throttle: Throttle,
        conditions: ClusterMonitor,
        plans: PlanPace,
        gates: Gates,
    ) -> None:
        self._gates = gates
        self._settings = settings
        self._throttle = throttle
        self._monitor = conditions
        self._plans = plans
        self._closed: dict[tuple[Window, str], Optional[Hold]] = {}
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def hold(self, m: Migration, *, begins: bool) -> Optional[Hold]:
        """Why no byte of ``m`` may be copied now; None when some may.

        ``begins``: it does not run yet, so it must fit in with those that do.
        """
        return (
            self._source(m)
            or self._plans.hold(m)
            or self._window(m)
            or self._own_rate(m)
            or self._pools(m)
            or self._unhealthy(m)
            or (self._no_room(m) if begins else None)
        )

    def shared(self, m: Migration, act: ActKind) -> Optional[Hold]:
        """Why neither ``m`` nor one like it may begin ``act`` now.

        Alike are migrations with the same plan, window, pools and pool for data.
        """
        held = self._plans.hold(m, act)
        if held is not None or act not in PACED_ACTS:
            return held
        return self._window(m) or self._pools(m) or self._unhealthy(m)

    def own(self, m: Migration, act: ActKind) -> Optional[Hold]:
        """Why ``m`` must not begin ``act`` now, whatever others like it may."""
        if act in PACED_ACTS:
            return self._source(m) or self._own_rate(m) or self._no_room(m)
        return (self._source(m) if act in READING_ACTS else None) or self._gate(m, act)

    def step(self, m: Migration, act: ActKind) -> Optional[Hold]:
        """Why an act on ``m`` that is no copy must not begin now."""
        source = self._source(m) if act in READING_ACTS else None
        return source or self._plans.hold(m, act) or self._gate(m, act)

    def _gate(self, m: Migration, act: ActKind) -> Optional[Hold]:
        """Why a cutover or a commit has to wait."""
        if act is ActKind.CUT_OVER:
            return self._gates.cutovers.hold(m)
        if act is not ActKind.COMMIT:
            return None
        takers = [hook.name for hook in self._gates.hooks.takers(_ASKED, pools_of(m))]
        if commit_agreed(m, takers):
            return None
        waits = waits_for_hooks(m) or f"It asks the hooks {', '.join(takers)} for its commit."
        return Hold(HoldReason.HOOK, waits)

    def _source(self, m: Migration) -> Optional[Hold]:
        """Why the source of an import may not be read: a config-key that is not open to imports."""
        if m.imported is None:
            return None
        refused = refuse_import(m.imported, m.id, self._settings().import_policy)
        if refused is None:
            return None
        if m.executed_at is None:
            refused += f", or gives up with `ceph rbd migration abort {m.target.spec}`"
        return Hold(HoldReason.OPERATOR, f"{refused}.")

    def _window(self, m: Migration) -> Optional[Hold]:
        settings = self._settings()
        try:
            own = parsed(m.window, settings.timezone) if m.window else None
        except MigrationError as error:  # a zone that this host does not know
            return Hold(HoldReason.WINDOW, f"Its window cannot be read: {error}")
        for whose, window in (("Its window", own), ("The window for copies", settings.window)):
            hold = self._outside(window, whose) if window is not None else None
            if hold is not None:
                return hold
        return None

    def _outside(self, window: Window, whose: str) -> Optional[Hold]:
        key = (window, whose)
        with self._lock:
            if time.monotonic() > self._closed_until:
                self._closed.clear()
                self._closed_until = time.monotonic() + _STALE
            if key not in self._closed:
                self._closed[key] = closed(
                    window, whose, datetime.fromtimestamp(time.time(), timezone.utc)
                )
            return self._closed[key]

    def _own_rate(self, m: Migration) -> Optional[Hold]:
        if m.rate != 0:
            return None
        target = m.target.spec
        return _limit(f"Its rate is 0; `ceph rbd migration set {target} --rate off` lets it go on.")

    def _pools(self, m: Migration) -> Optional[Hold]:
        pools = self._settings().pool_rates
        for pool in (m.source.pool, m.target.pool):
            if pools.get(pool) == 0:
                return _limit(f"The throttle of the pool {pool} is 0, so its copies do not run.")
        if self._throttle.cluster_rate() == 0:
            return _limit("The cluster's throttle is 0 at this time, so no copy runs.")
        return None

    def _unhealthy(self, m: Migration) -> Optional[Hold]:
        verdict = self._monitor.verdict(m)
        return Hold(HoldReason.HEALTH, verdict.message) if verdict.level is Level.WAIT else None

    def _no_room(self, m: Migration) -> Optional[Hold]:
        """Why it must not begin in addition to those that run."""
        text = self._monitor.no_room(m)
        return Hold(HoldReason.HEALTH, text) if text else None


def _limit(message: str) -> Hold:
    return Hold(HoldReason.LIMIT, message)
