"""Keeping plans: all of them in memory; every change is in the store before anybody sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN, EINVAL, ENOENT
from typing import Optional

import rados

from ...cluster.plan_store import PlanStore
from ...cluster.pools import open_by_id, rbd_pools
from ...cluster.store import Owner, UnreadableRecord
from ...control.audit import plan_lines
from ...control.plans.selection import pattern_problem
from ...model.errors import MigrationError, PoolMissing
from ...model.migration import Migration
from ...model.plan import Item, Outcome, Plan, PlanState
from ...model.policy import Policy
from ...model.spec import ImageSpec
from ..caller import internal, who
from ..hooks.definitions import HookRegistry
from ..hooks.queue import HookQueue
from .loader import Loader
from .registry import Registry
from .tracked_plan import TrackedPlan

log = logging.getLogger(__name__)


def _checked_again(plan: Plan) -> Plan:
    """A stored plan as a draft with a problem, where its images cannot be chosen any more.

    An earlier version took expressions that are refused now. What has chosen its images goes on.
    """
    if plan.state not in (PlanState.DRAFT, PlanState.STARTING):
        return plan
    problem = pattern_problem(plan.definition)
    return replace(plan, state=PlanState.DRAFT, problem=problem) if problem else plan


class PlanRegistry:
    """The plans of this cluster. Thread-safe."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        loader: Loader,
        owner: Owner,
        hooks: Optional[HookQueue] = None,
    ) -> None:
        self._hooks = hooks or HookQueue(HookRegistry(client))
        self.changed = threading.Condition()
        self._client = client
        self._registry = registry
        self._loader = loader
        self._owner = owner
        self._kept: dict[str, TrackedPlan] = {}
        self._read: set[int] = set()
        self._past: dict[tuple[int, str], dict[str, Migration]] = {}
        self._loading = threading.Lock()
        self._garbage: dict[int, list[UnreadableRecord]] = {}
        self.audit: Callable[[str], None] = lambda line: None  # takes lines of the audit log

    # -- reading -----------------------------------------------------------------------------

    def load(self) -> None:
        """Read the plans of pools whose migrations are known. Raises StoreFenced.

        A pool that does not answer is read when it does.
        """
        with self._loading:
            for pool_id in self._loader.pools():
                if pool_id in self._read:
                    continue
                try:
                    self._load(pool_id)
                except rados.Error as error:
                    log.warning("pool %s: its plans cannot be read yet: %s", pool_id, error)
                    continue
                except PoolMissing:
                    pass  # and its plans with it
                self._read.add(pool_id)

    def _load(self, pool_id: int) -> None:
        store = self._store(pool_id)
        if not store.exists():
            return
        store.take()
        plans, garbage = store.read_plans()
        self._hooks.loaded(store, store.read_deliveries())
        for plan, items in plans:
            kept = TrackedPlan(_checked_again(plan), items, store, former=True)
            with self.changed:
                other = self._kept.get(plan.name)
                newer = other is None or other.plan.created < plan.created
                if newer:
                    self._kept[plan.name] = kept
            stale = other if newer else kept
            if stale is not None:  # cut off when the plan went to another pool
                stale.store.remove_plan(plan.name, stale.plan.items)
        with self.changed:
            self._garbage[pool_id] = garbage
            self.changed.notify_all()

    def _store(self, pool_id: int) -> PlanStore:
        name = self._client.pool_reverse_lookup(pool_id) or str(pool_id)
        return PlanStore(lambda: open_by_id(self._client, pool_id, ""), str(name), self._owner)

    @property
    def garbage(self) -> list[UnreadableRecord]:
        """Records of plans that cannot be read, of pools that are there."""
        there = self._loader.pools()
        with self.changed:
            return [item for pool_id in there for item in self._garbage.get(pool_id, ())]

    def all(self) -> list[TrackedPlan]:
        """All plans, by name."""
        with self.changed:
            return [self._kept[name] for name in sorted(self._kept)]

    def get(self, name: str) -> Optional[TrackedPlan]:
        """The plan ``name`` if it is known."""
        with self.changed:
            return self._kept.get(name)

    def complete(self) -> bool:
        """Whether all plans are known: no pool is silent, or still to be read."""
        return self._loader.complete() and self._read.issuperset(self._loader.pools())

    def require(self, name: str) -> TrackedPlan:
        """The plan ``name``; MigrationError says why there is none."""
        kept = self.find(name)
        if kept is not None:
            return kept
        raise MigrationError(
            ENOENT,
            f"There is no plan {name!r}; `ceph rbd migration plan ls` lists all plans.",
        )

    def find(self, name: str) -> Optional[TrackedPlan]:
        """The plan ``name`` if there is one.

        MigrationError(EAGAIN) where it could be in a pool whose plans cannot be read yet.
        """
        self.load()
        kept = self.get(name)
        if kept is None and not self.complete():
            raise MigrationError(
                EAGAIN,
                f"No plan {name!r} is known yet, and not all pools answer; look at `ceph health` "
                "and try again.",
            )
        return kept

    def policy(self, name: str) -> Optional[Policy]:
        """The policy of a plan that has not ended; None when there is none of this name.

        MigrationError(EAGAIN) while not all plans are known.
        """
        kept = self.get(name)
        if kept is None and not self.complete():
            raise MigrationError(
                EAGAIN,
                f"The plan {name} is not known yet, and not all pools answer; look at `ceph "
                "health` and try again.",
            )
        if kept is None or kept.plan.state.ended:
            return None
        return kept.plan.definition.policy

    def past(self, target: ImageSpec) -> dict[str, Migration]:
        """Ended migrations of plans to the target's pool and namespace, as a former process left.

        What ends from now on is seen as it ends. Raises ``rados.Error``.
        """
        try:
            place = (int(self._client.pool_lookup(target.pool)), target.namespace)
        except rados.ObjectNotFound:
            return {}
        if place not in self._past:
            ended, _ = self._registry.store(*place).read(history=True)
            self._past[place] = {m.id: m for m in ended if m.plan}
        return self._past[place]

    # -- changing ----------------------------------------------------------------------------

    def create(self, plan: Plan) -> TrackedPlan:
        """Store a new plan, or one in place of another of its name, and keep it."""
        home = plan.definition.home
        if not self._client.pool_exists(home):
            raise MigrationError(
                ENOENT, f"The pool {home!r} does not exist; `ceph osd lspools` lists those that do."
            )
        pool_id = int(self._client.pool_lookup(home))
        if pool_id not in rbd_pools(self._client):  # stores of others are not read
            raise MigrationError(
                EINVAL,
                f"The pool {home!r} is not meant for RBD; `rbd pool init {home}` makes it so.",
            )
        self._loader.require(pool_id)
        self.load()
        store = self._store(pool_id)
        before = self.get(plan.name)
        plan = plan.logged(None, time.time(), who())
        kept = TrackedPlan(plan, [], store, former=False)
        try:
            store.write_plan(plan)
        except rados.Error:
            if before is not None and before.store.label == store.label:
                before.unsure = True
            raise
        if before is not None and before.store.label != store.label:
            before.store.remove_plan(plan.name, before.plan.items)
        with self.changed:
            self._kept[plan.name] = kept
            self.changed.notify_all()
        return kept

    def update(self, kept: TrackedPlan, change: Callable[[Plan], Plan]) -> Plan:
        """Apply ``change`` to a plan, store it, then show it. Raises what the store raises.

        What ``change`` raises is passed on, and nothing is changed then: refusals belong there.
        """
        with kept.write_lock:
            self._write_if_unsure(kept)
            before = kept.plan
            after = change(before)
            if after != before:
                after = after.logged(before, time.time(), who())
                self._write(kept, after)
                with self.changed:
                    kept.plan = after
                    self.changed.notify_all()
                if internal():
                    for line in plan_lines(before, after, who()):
                        self.audit(line)
        return kept.plan

    def resolve_unsure(self, kept: TrackedPlan) -> None:
        """Write a plan again whose last write may or may not have been done."""
        with kept.write_lock:
            self._write_if_unsure(kept)

    def _write_if_unsure(self, kept: TrackedPlan) -> None:
        if kept.unsure:
            kept.store.write_plan(kept.plan)
            kept.unsure = False

    def _write(self, kept: TrackedPlan, plan: Plan) -> None:
        posts = self._hooks.of_plan(kept.plan, plan)
        try:
            kept.store.write_plan(plan, posts.deliveries)
        except rados.Error:
            kept.unsure = True
            self._hooks.outcome_unknown(kept.store, posts)
            raise
        self._hooks.posted(kept.store, posts)

    def freeze(self, kept: TrackedPlan, items: list[Item], change: Callable[[Plan], Plan]) -> None:
        """Store the items of a plan, then the plan that counts them."""
        kept.store.write_items(kept.plan.name, items)
        kept.items = items
        kept.former = False
        self.update(kept, lambda plan: replace(change(plan), items=len(items)))

    def store_item(self, kept: TrackedPlan, number: int, item: Item) -> None:
        """Store an item as it is now."""
        if item == kept.items[number]:
            return
        kept.store.write_items(kept.plan.name, [item], number)
        with self.changed:
            kept.items[number] = item
            kept.waits.pop(number, None)
            kept.waiting_since.pop(number, None)
            if item.outcome is not Outcome.OPEN:
                kept.live.pop(number, None)
            self.changed.notify_all()

    def remove(self, kept: TrackedPlan) -> None:
        """Forget a plan. Its migrations stay as they are."""
        kept.store.remove_plan(kept.plan.name, kept.plan.items)
        with self.changed:
            self._kept.pop(kept.plan.name, None)
            self.changed.notify_all()

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``done()`` holds; False when time ran out."""
        with self.changed:
            return self.changed.wait_for(done, seconds)
