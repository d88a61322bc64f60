"""A test double of the API: the same requests and answers, without a cluster.

Copies make progress with the clock. It imitates only what the page needs, not the decisions of the
engine.
"""

import math
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, ENOENT, EPERM
from typing import Any, Optional

from rbdmigrate.control import query as browse
from rbdmigrate.model.codec import to_plain
from rbdmigrate.model.errors import MigrationError, errno_name
from rbdmigrate.model.hook_report import HookRow
from rbdmigrate.model.host_report import HostReport, agent_rows, client_rows
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.report import iso
from rbdmigrate.model.spec import parse_image_spec
from rbdmigrate.model.states import Goal, HoldReason, State
from rbdmigrate.model.units import parse_seconds

from . import place_double, plan_answers, rest
from .bulk_double import act_on
from .check_double import checked
from .hook_double import HooksDouble
from .migration_double import SETTABLE, Args, act, pass_time, set_options, target_of
from .pace_double import PaceDouble
from .plan_case import PlanCase
from .plan_double import PlansDouble
from .scenes import MIB, Item

_AGES = 36525 * 86400.0  # seconds, the longest time to look back


class Double:
    """Answers requests. ``rights``: the user's permissions; ``key``: the required API key."""

    def __init__(
        self,
        items: Iterable[Item] = (),
        ended: Iterable[Item] = (),
        *,
        plans: Iterable[PlanCase] = (),
        hosts: Iterable[HostReport] = (),
        hooks: Iterable[HookRow] = (),
        rights: Iterable[str] = ("create", "update", "delete"),
        key: Optional[str] = None,
    ) -> None:
        self._lock = threading.RLock()
        self.items = {one.report()["target"]: one for one in items}
        self.ended = list(ended)
        self.plans = PlansDouble(plans)
        self.rights = set(rights)
        self.key = key
        self.logged_in = True
        self.starting = False  # answers 503
        self.pace = PaceDouble()
        self.hosts = list(hosts)  # what agents reported
        self.hooks = HooksDouble(hooks, time.time())
        self.guarded: set[str] = set()  # targets whose commit and abort require force
        self.requests: list[str] = []
        self._moved = time.time()

    def answer(self, method: str, address: str, headers: Any, body: Any) -> Any:
        """Return status, headers and body; ``address`` is the URL after the API's base."""
        path, _, query = address.partition("?")
        with self._lock:
            self.requests.append(f"{method} {address}")
            if not self.logged_in:
                return _refusal(401, EPERM, "You are not logged in.")
            if self.key is not None and headers.get("Authorization") != f"Bearer {self.key}":
                status, more, text = _refusal(401, EPERM, "The API key is not known.")
                return status, {**more, "WWW-Authenticate": 'Bearer realm="rbd_migration"'}, text
            if self.starting:
                return _refusal(503, EAGAIN, "rbd_migration is still reading its records; try "
                                "again in a few seconds.")  # fmt: skip
            found = rest.urls.match(method, path)
            if found.route is None:
                return _refusal(404, ENOENT, "There is nothing at this address.")
            needed = found.route.permission
            if needed not in (*self.rights, "read"):
                return _refusal(403, EPERM, f"The permission {needed} is needed for this.")
            return self._carry_out(found.route, found.target, query, body)

    def _carry_out(self, route: Any, target: str, query: str, body: Any) -> Any:
        try:
            args = {
                **rest.fields.check_texts(route.query, rest.urls.arguments(query)),
                **rest.fields.check(route.body, body or {}),
            }
            missing = route.missing(args, (*self.rights, "read"))
            if missing:
                return _refusal(403, EPERM, f"The permission {missing} is needed for imports.")
            self._move(time.time())
            if route.name == "plan_commit":
                return 200, {}, self._commit_all(target)
            if route.name == "plan_read":
                return 200, {}, plan_answers.read(args["file"])
            if route.name.startswith("plan_"):
                return route.status, {}, self.plans.answer(route.name, target, args)
            if route.name.startswith("hook_"):
                return route.status, {}, self.hooks.answer(route.name, target, args)
            if "{target}" in route.path:
                one = self._find(target)
                acts = {"get": one.report, "set": lambda: set_options(one, args)}
                return 200, {}, acts.get(route.name, lambda: self._act(one, route.name, args))()
            if route.name in ("list", "history"):
                rows = self._past() if route.name == "history" else self._rows(ended=args["ended"])
                total, found = browse.page(rows, _query(args), Item.report)
                return 200, {"X-Total-Count": str(total)}, found
            own = getattr(self, f"_{route.name}", None)
            return route.status, {}, (own or getattr(self.pace, route.name))(args)
        except rest.fields.FieldError as error:
            return _refusal(400, EINVAL, str(error))
        except MigrationError as error:
            missing = error.errno == ENOENT and route.parameter is not None
            return _refusal(404 if missing else 400, error.errno, str(error))

    # -- reading -----------------------------------------------------------------------------

    def _rows(self, *, ended: bool = False) -> "list[browse.Row]":
        return [*map(_row, self.items.values()), *(self._past() if ended else ())]

    def _summary(self, args: Args) -> Any:
        items = self.items.values()
        permissions = ("read", "create", "update", "delete")
        return {
            "version": "0.1.0",
            "ceph_release": "20.2.4",
            "permissions": {name: name in (*self.rights, "read") for name in permissions},
            **browse.totals(self._rows(), Item.report),
            "copying": sum(_copies(one) for one in items),
            "cluster_rate": self.pace.rate_now(),
            "gates": self.pace.gates,
            "guard": self.pace.shown_guard(),
            "limits": self.pace.limits,
        }

    def _throughput(self, args: Args) -> Any:
        """Return an hour of sine waves, under a throttle that was raised in the middle of it."""
        begun = int(time.time()) // 10 * 10 - 3600
        if args and args.get("target") not in (*self.items, None):
            return []
        points = []
        for n in range(360):
            rate, limit = (90, 120) if n < 180 else (190, 300)
            wave = 40 * math.sin(n / 20) + 9 * math.sin(n / 3)
            latency = 1.8 + wave / 60 if self.pace.guard else None
            points.append(
                {
                    "at": iso(begun + 10 * n),
                    "rate": int((rate + wave) * MIB),
                    "limit": limit * MIB,
                    "latency_ms": latency,
                }
            )
        return points

    def _past(self) -> "list[browse.Row]":
        return [_row(one) for one in self.ended]

    def _hosts(self) -> "list[HostReport]":
        return [one.seen_from(time.time()) for one in self.hosts]

    def _agents(self, args: Args) -> Any:
        return to_plain(agent_rows(self._hosts()))

    def _clients(self, args: Args) -> Any:
        image = args.get("image")
        return to_plain(client_rows(self._hosts(), lambda spec: image in (None, str(spec))))

    def _check(self, args: Args) -> Any:
        source, target = self._images_of(args)
        return checked(source, target, args, taken=target in self.items)

    # -- acting ------------------------------------------------------------------------------

    def _create(self, body: Args) -> Any:
        source, target = self._images_of(body)
        check = self._check(body)
        for finding in check["findings"]:
            if finding["severity"] == "error":
                raise MigrationError(EBUSY, finding["message"])
        now = time.time()
        spec = parse_image_spec(target, "rbd", "target")
        origin = parse_image_spec(source, "rbd", "source")
        m = Migration(
            id=f"{int(now * 1000) & 0xFFFFFFFFFFFF:012x}",
            source=Place(origin.pool, origin.namespace, origin.image, 1, "1064d7eb7058"),
            target=Place(spec.pool, spec.namespace, spec.image, 2, "107231934d2e"),
            goal=Goal(body.get("goal", "prepared")),
            state=State.QUEUED,
            created=now,
            layout=LayoutOptions(),
        ).enter(State.QUEUED, now, "asked for")
        m = m.enter(State.PREPARING, now).enter(State.PREPARED, now)
        self.items[target] = Item(replace(m, bytes_total=400 * MIB))
        return set_options(self.items[target], {k: v for k, v in body.items() if k in SETTABLE})

    def _images_of(self, body: Args) -> "tuple[str, str]":
        target = body.get("target") or body.get("source") or ""
        parse_image_spec(target, "rbd", "target")
        if body.get("import_only"):
            return f"{body['source_spec']['type']}/import", target
        source = body.get("source", "")
        parse_image_spec(source, "rbd", "source")
        if "missing" in source:
            raise MigrationError(ENOENT, f"There is no image {source}.")
        return source, target

    def _find(self, target: str) -> Item:
        found = self.items.get(target)
        if found is None:
            found = next((one for one in self.ended if target_of(one) == target), None)
        if found is None:
            raise MigrationError(ENOENT, f"There is no migration to {target}.")
        return found

    def _act(self, one: Item, action: str, body: Args) -> Any:
        target = target_of(one)
        act(one, action, body, guarded=target in self.guarded)
        if one.migration.state.ended:
            del self.items[target]
            self.ended.append(one)
        return one.report()

    def _commit_all(self, plan: str) -> Any:
        self.plans.answer("plan_show", plan, {})  # raises when there is none
        wanted = browse.Query(plan=plan, states=_COPIED, goals=_BEFORE_COMMIT)
        targets = [target_of(one) for one in self.items.values() if wanted.wants(one.migration)]
        return act_on(targets, lambda target: self._act(self._find(target), "commit", {}))

    def _bulk(self, args: Args) -> Any:
        action = args["action"]
        return act_on(args["targets"], lambda target: self._act(self._find(target), action, args))

    def _pools(self, args: Args) -> Any:
        return place_double.pools()

    def _images(self, args: Args) -> Any:
        return place_double.images(args)

    # -- the clock ---------------------------------------------------------------------------

    def _move(self, now: float) -> None:
        """Let time pass: copies make progress, and completed steps lead to the next."""
        passed, self._moved = now - self._moved, now
        for one in self.items.values():
            pass_time(one, passed, now)


_COPIED = frozenset({State.EXECUTED, State.VERIFYING, State.VERIFIED})
_BEFORE_COMMIT = frozenset({Goal.PREPARED, Goal.EXECUTED, Goal.VERIFIED})


def _row(one: Item) -> browse.Row:
    live = one.live
    rate, share = live.rate, live.share
    return browse.Row(
        one, one.migration, live.copied, live.size, share, rate, lambda item: item.live.hold
    )


def _copies(one: Item) -> bool:
    return one.live.acting and one.migration.state is State.EXECUTING


def _query(args: Args) -> browse.Query:
    sort = args["sort"]
    return browse.Query(
        offset=args["offset"],
        limit=args["limit"],
        sort=sort.lstrip("+-"),
        descending=sort.startswith("-"),
        search=args.get("search", ""),
        states=frozenset(State(state) for state in args.get("state", ())),
        goals=frozenset(Goal(goal) for goal in args.get("goal", ())),
        pool=args.get("pool", ""),
        plan=args.get("plan", ""),
        holds=frozenset(HoldReason(reason) for reason in args.get("hold", ())),
        awaiting_commit=args.get("awaiting_commit", False),
        target=args.get("target", ""),
        since=_time_before(args.get("since")),
    )


def _time_before(age: Optional[str]) -> float:
    return 0.0 if age is None else time.time() - parse_seconds(age, "since", _AGES)


def _refusal(status: int, errno: int, sentence: str) -> Any:
    body = {"detail": sentence, "code": errno_name(errno), "component": "rbd_migration"}
    return status, rest.retry.headers(status), body
