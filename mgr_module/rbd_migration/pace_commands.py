"""The commands that steer the pace: top, set, throttle and limit."""

from errno import EINVAL
from typing import Any, Dict

from rbdmigrate.control.timetable import parse_rate
from rbdmigrate.model.errors import MigrationError

from . import tables, top
from .command import TARGET, Arg, Call, Command, Report, goal_of, visible


def _set(call: Call) -> Report:
    target = call.spec("target_image", "target")
    rate, goal = call.text("rate"), call.text("goal")
    if rate is None and goal is None and call.number("priority") is None:
        raise MigrationError(EINVAL, "Say what to set: --rate, --priority or --goal.")
    return call.engine.change(
        target,
        rate=None if rate is None else parse_rate(rate, "--rate"),
        change_rate=rate is not None,
        priority=call.number("priority"),
        goal=None if goal is None else goal_of(goal),
    )


def _throttle_get(call: Call) -> Dict[str, Any]:
    pools = call.options.pool_rates()
    return {**call.options.throttle(), "rate_now": call.engine.cluster_rate(), "pools": pools}


def _throttle_set(call: Call) -> Dict[str, Any]:
    rate, timetable, pool = call.text("rate"), call.text("timetable"), call.text("pool")
    if (rate is None) == (timetable is None):
        raise MigrationError(EINVAL, "Give either --rate or --timetable.")
    if pool is None:
        call.options.set_throttle(rate or timetable or "", call.text("timezone"))
    elif rate is None:
        raise MigrationError(EINVAL, "A pool has a rate and no timetable; give --rate.")
    else:
        call.options.set_pool_rate(pool, parse_rate(rate, "--rate"))
    return _throttle_get(call)


def _throttle_clear(call: Call) -> Dict[str, Any]:
    pool = call.text("pool")
    if pool is None:
        call.options.set_throttle("off", None)
    else:
        call.options.set_pool_rate(pool, None)
    return _throttle_get(call)


def _limit_get(call: Call) -> Dict[str, int]:
    return call.options.limits()


def _limit_set(call: Call) -> Dict[str, int]:
    found = {name: call.number(name) for name in call.options.limits()}
    given = {name: value for name, value in found.items() if value is not None}
    if not given:
        known = ", ".join("--" + name.replace("_", "-") for name in found)
        raise MigrationError(EINVAL, f"Say which limit to set: {known}.")
    negative = [name for name, value in given.items() if value < 0]
    if negative:
        raise MigrationError(EINVAL, f"--{negative[0].replace('_', '-')} cannot be below 0.")
    call.options.set_limits(given)
    return call.options.limits()


def _top(call: Call) -> top.View:
    reports = visible(call, call.engine.list())
    return top.View(
        reports, call.engine.cluster_rate(), call.number("width") or 0, call.flag("print_header")
    )


TABLE = (
    Command(
        "top",
        (Arg("width", "CephInt"), Arg("print_header", "CephBool")),
        "Watch the copies: a line for each, again every second",
        "r",
        _top,
        top.show,
        poll=True,
    ),
    Command(
        "set",
        (TARGET, Arg("rate"), Arg("priority", "CephInt"), Arg("goal")),
        "Change the rate, the priority or the goal of a migration",
        "w",
        _set,
        tables.outcome,
    ),
    Command(
        "throttle get",
        (),
        "Show the throttle of the cluster and of pools",
        "r",
        _throttle_get,
        tables.throttle,
    ),
    Command(
        "throttle set",
        (Arg("rate"), Arg("timetable"), Arg("timezone"), Arg("pool")),
        "Limit the bytes per second of all copies, or of those from or to a pool",
        "w",
        _throttle_set,
        tables.throttle,
    ),
    Command(
        "throttle clear",
        (Arg("pool"),),
        "Take the throttle of the cluster or of a pool away",
        "w",
        _throttle_clear,
        tables.throttle,
    ),
    Command("limit get", (), "Show the limits", "r", _limit_get, tables.limits),
    Command(
        "limit set",
        (
            Arg("max_copies", "CephInt"),
            Arg("per_source_pool", "CephInt"),
            Arg("per_target_pool", "CephInt"),
            Arg("max_steps", "CephInt"),
        ),
        "Limit how many copies and other steps run at once",
        "w",
        _limit_set,
        tables.limits,
    ),
)
