"""The plans of a pool, stored next to the records of its migrations under the same rules.

The object ``rbd_migration_plans`` of a pool's default namespace holds ``plan.<name>`` and
``item.<name>/<number>``. Items are written before the plan that counts them, and removed after it.
Items beyond the count of their plan are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import rados

from ..faults import fault_point
from ..model.claim import Claim
from ..model.errors import RecordError
from ..model.hooks import Delivery
from ..model.plan import Item, Plan, decode, encode_readable
from .omap import omap_pages
from .store import Store, UnreadableRecord, posted

PLANS = "rbd_migration_plans"
_PLAN = "plan."
_ITEM = "item."
_PAGE = 500  # items in one write


class PlanStore(Store):
    """The plans stored in one pool."""

    _objects = (PLANS,)

    def write_plan(self, plan: Plan, posts: Sequence[Delivery] = ()) -> None:
        """Create or replace the record of a plan, with messages to hooks. As ``Store.write``."""
        values = {_PLAN + plan.name: encode_readable(plan), **posted(posts)}
        fault_point("plans.write.before", plan.state.value)
        self._set(values, PLANS)
        fault_point("plans.write.after", plan.state.value)

    def write_items(self, plan: str, items: Sequence[Item], first: int = 0) -> None:
        """Write items, numbered from ``first`` on. Raises as ``Store.write``."""
        encoded = [encode_readable(item) for item in items]
        for begin in range(0, len(items), _PAGE):
            values = tuple(encoded[begin : begin + _PAGE])
            keys = tuple(_key(plan, first + begin + n) for n in range(len(values)))
            fault_point("plans.items.before", plan)

            def act(
                ioctx: rados.Ioctx,
                op: rados.WriteOp,
                keys: tuple[str, ...] = keys,
                values: tuple[bytes, ...] = values,
            ) -> None:
                ioctx.set_omap(op, keys, values)

            self._guarded(act, PLANS)
            fault_point("plans.items.after", plan)

    def remove_plan(self, plan: str, items: int) -> None:
        """Remove a plan, then its items."""

        def forget(ioctx: rados.Ioctx, op: rados.WriteOp) -> None:
            ioctx.remove_omap_keys(op, (_PLAN + plan,))

        self._guarded(forget, PLANS)
        for begin in range(0, items, _PAGE):
            keys = tuple(_key(plan, n) for n in range(begin, min(items, begin + _PAGE)))

            def act(ioctx: rados.Ioctx, op: rados.WriteOp, keys: tuple[str, ...] = keys) -> None:
                ioctx.remove_omap_keys(op, keys)

            self._guarded(act, PLANS)

    def read_plans(self) -> tuple[list[tuple[Plan, list[Item]]], list[UnreadableRecord]]:
        """Read all plans with their items, and the records that could not be read.

        A plan that lacks some of its items counts as unreadable, because it could start migrations
        twice.
        """
        found: list[tuple[Plan, list[Item]]] = []
        garbage: list[UnreadableRecord] = []
        with self._open() as ioctx:
            for key, raw in omap_pages(ioctx, PLANS, _PLAN):
                try:
                    plan = decode(Plan, raw)
                    if _PLAN + plan.name != key:
                        raise RecordError(f"it holds the plan {plan.name!r}")
                    found.append((plan, self._items(ioctx, plan)))
                except RecordError as error:
                    garbage.append(UnreadableRecord(self.label, key, str(error), Claim()))
        return found, garbage

    def _items(self, ioctx: rados.Ioctx, plan: Plan) -> list[Item]:
        if not plan.items:
            return []
        stored = dict(omap_pages(ioctx, PLANS, f"{_ITEM}{plan.name}/"))
        wanted = [_key(plan.name, number) for number in range(plan.items)]
        missing = [key for key in wanted if key not in stored]
        if missing:
            raise RecordError(f"it lacks {missing[0]}")
        return [decode(Item, stored[key]) for key in wanted]


def _key(plan: str, number: int) -> str:
    return f"{_ITEM}{plan}/{number:06d}"
