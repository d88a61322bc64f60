"""The commands about the speed of copies: top, set, throttle, window and limit."""

from errno import EINVAL
from typing import Any, Dict, Optional

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.control.pace.timetable import parse_rate
from rbdmigrate.control.pace.window import parse_window
from rbdmigrate.control.query import Query
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.reverse_rounds import parse_interval

from . import tables, top
from . import verify as verify_commands
from .command import TARGET, Arg, Call, Command, Report, goal_of


def _set(call: Call) -> Report:
    target = call.spec("target_image", "target")
    rate, goal, window = call.text("rate"), call.text("goal"), call.text("window")
    verify, soak = verify_commands.verify_of(call), verify_commands.soak_of(call)
    cutover_window = call.text("cutover_window")
    refresh_source = interval_of(call)
    asked = (rate, goal, window, cutover_window, call.number("priority"), verify, soak)
    given = (*asked, refresh_source)
    if all(x is None for x in given):
        raise MigrationError(
            EINVAL,
            "Say what to set: --rate, --priority, --window, --cutover-window, --goal, --verify, "
            "--soak or --refresh-source.",
        )
    changes = Changes(
        rate=None if rate is None else parse_rate(rate, "--rate"),
        change_rate=rate is not None,
        priority=call.number("priority"),
        goal=None if goal is None else goal_of(goal),
        window=None if window is None else window_of(call, window),
        cutover_window=None
        if cutover_window is None
        else window_of(call, cutover_window, "--cutover-window"),
        verify=verify,
        soak=soak,
        refresh_source=refresh_source,
    )
    return call.engine.migrations.change(target, changes)


def interval_of(call: Call) -> Optional[float]:
    """Return ``--refresh-source`` in seconds; None if it was not given. Raises MigrationError."""
    text = call.text("refresh_source")
    return None if text is None else parse_interval(text, "--refresh-source")


def window_of(call: Call, text: str, option: str = "--window") -> str:
    """Return a migration's window in canonical form, empty for ``off``. Raises MigrationError."""
    if text == "off":
        return ""
    return str(parse_window(text, call.options.settings.timezone, option))


def _throttle_get(call: Call) -> Dict[str, Any]:
    return {
        **call.options.throttle(),
        "rate_now": call.engine.cluster_rate(),
        "pools": {
            pool: rate
            for pool, rate in call.options.pool_rates().items()
            if call.access.covers(pool, "")
        },
        **call.engine.conditions(),
    }


def _throttle_set(call: Call) -> Dict[str, Any]:
    rate, timetable, pool = call.text("rate"), call.text("timetable"), call.text("pool")
    guard = call.text("guard")
    if guard is not None:
        if pool is not None:
            raise MigrationError(EINVAL, "The guard is for all copies; leave --pool out.")
        call.options.set_guard(_factor(guard))
        if rate is None and timetable is None:
            return _throttle_get(call)
    if (rate is None) == (timetable is None):
        raise MigrationError(EINVAL, "Give either --rate or --timetable, or --guard.")
    if pool is None:
        call.options.set_throttle(rate or timetable or "", call.text("timezone"))
    elif rate is None:
        raise MigrationError(EINVAL, "A pool has a rate and no timetable; give --rate.")
    else:
        call.options.set_pool_rate(pool, parse_rate(rate, "--rate"))
    return _throttle_get(call)


def _factor(text: str) -> float:
    """Parse the factor of ``--guard 1.5`` or ``--guard off``. Raises MigrationError(EINVAL)."""
    if text == "off":
        return 0.0
    try:
        return float(text)
    except ValueError as error:
        raise MigrationError(
            EINVAL, f"--guard {text!r} is not a number; give a factor such as 1.5, or off."
        ) from error


def _window_get(call: Call) -> Dict[str, str]:
    return call.options.window()


def _window_set(call: Call) -> Dict[str, str]:
    text = call.text("window")
    if text is None:
        raise MigrationError(
            EINVAL, "Give --window, such as --window 'Mon-Fri 20:00-06:00, Sat-Sun'."
        )
    call.options.set_window("" if text == "off" else text, call.text("timezone"))
    return call.options.window()


def _window_clear(call: Call) -> Dict[str, str]:
    call.options.set_window("", None)
    return call.options.window()


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
    return top.View(
        call.engine.listing.find(Query(limit=0)),
        call.engine.cluster_rate(),
        call.engine.conditions(),
        call.number("width") or 0,
        call.flag("print_header"),
    )


TABLE = (
    Command(
        "top",
        (Arg("width", "CephInt"), Arg("print_header", "CephBool")),
        "Watch the copies, one line for each, refreshed every second",
        "r",
        _top,
        top.show,
        poll=True,
    ),
    Command(
        "set",
        (
            TARGET,
            Arg("rate"),
            Arg("priority", "CephInt"),
            Arg("goal"),
            Arg("window"),
            Arg("verify"),
            Arg("soak"),
            Arg("cutover_window"),
            Arg("refresh_source"),
        ),
        "Change the rate, priority, goal, window, verify or soak of a migration",
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
        (Arg("rate"), Arg("timetable"), Arg("timezone"), Arg("pool"), Arg("guard")),
        "Limit the bytes per second of all copies, or of those from or to a pool",
        "w",
        _throttle_set,
        tables.throttle,
    ),
    Command(
        "throttle clear",
        (Arg("pool"),),
        "Remove the throttle of the cluster or of a pool",
        "w",
        _throttle_clear,
        tables.throttle,
    ),
    Command("window get", (), "Show when copies may run", "r", _window_get, tables.window),
    Command(
        "window set",
        (Arg("window"), Arg("timezone")),
        "Let copies run only at certain times of the week",
        "w",
        _window_set,
        tables.window,
    ),
    Command("window clear", (), "Let copies run at any time", "w", _window_clear, tables.window),
    Command("limit get", (), "Show the limits", "r", _limit_get, tables.limits),
    Command(
        "limit set",
        (
            Arg("max_copies", "CephInt"),
            Arg("per_source_pool", "CephInt"),
            Arg("per_target_pool", "CephInt"),
            Arg("per_source_host", "CephInt"),
            Arg("max_steps", "CephInt"),
            Arg("max_verifies", "CephInt"),
            Arg("max_cutovers", "CephInt"),
        ),
        "Limit how many copies and other steps run at once",
        "w",
        _limit_set,
        tables.limits,
    ),
)
