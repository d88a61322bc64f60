"""Planning: the engine's plans, put together with what begins and steers their migrations."""

from __future__ import annotations

from .beginning import Beginning
from .host import Host
from .parts import Follower
from .plan_begin import Beginner
from .plan_check import PlanChecks
from .plan_driver import Driver
from .plans import Plans
from .steering import Steering


class Planning(Beginning, Steering):
    """``plans`` is what front ends call about plans."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        beginner = Beginner(
            self._registry,
            self._finder,
            self._admission,
            self._import_wish,
            self._answers,
        )
        driver = Driver(
            self._client,
            self._keeping,
            self._registry,
            beginner,
            self._loop,
            lambda target, force: self.begin_abort(target, force=force),
            self._fenced,
        )
        checks = PlanChecks(self._preflight, beginner, driver.select, self._throttle.cluster_rate)
        self.plans = Plans(self._keeping, driver, checks, host.settings, self._answers, self.retry)

    def start(self) -> None:
        """Read the records and begin, then drive the plans."""
        super().start()
        self.plans.start()

    def stop(self, *more: Follower) -> bool:
        """Kill the workers, end the threads; False when a thread does not end. State is kept."""
        return super().stop(self.plans, *more)

    def problems(self) -> list[str]:
        """What is wrong with the engine itself, one sentence each; empty when all is well."""
        return [*super().problems(), *self.plans.problems()]

    def garbage(self) -> list[str]:
        """Records that cannot be read, one sentence each."""
        plans = [
            f"{g.store}: key {g.key} of the object rbd_migration_plans: {g.reason}"
            for g in self.plans.garbage
        ]
        return [*super().garbage(), *plans]
