"""Planning: the engine's plans, put together with what begins and steers their migrations."""

from __future__ import annotations

from ..model.spec import ImageSpec
from .host import Host
from .plans.checks import PlanChecks
from .plans.create import ItemStarter
from .plans.driver import PlanDriver
from .plans.service import PlanService
from .requests.components import Follower
from .requests.control import Steering
from .requests.create import Beginning


class Planning(Beginning, Steering):
    """``plans`` is what front ends call about plans."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        beginner = ItemStarter(
            self._registry,
            self._lookup,
            self._admission,
            self._import_request,
            self._answers,
        )

        def abort(target: ImageSpec, force: bool) -> None:
            self.begin_abort(target, force=force)

        driver = PlanDriver(
            self._client,
            self._plan_registry,
            self._registry,
            beginner,
            self._loop,
            abort,
            self._fenced,
        )
        checks = PlanChecks(self._preflight, beginner, driver.select, self._throttle.cluster_rate)
        self.plans = PlanService(
            self._plan_registry, driver, checks, host.settings, self._answers, self.retry, abort
        )

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
