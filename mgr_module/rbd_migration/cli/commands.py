"""The table of the commands ``ceph rbd migration ...``: their arguments and calls of the engine.

Declared as the manager's own command descriptions, which are the same from release 16 to 20. Option
names and meanings are those of stock ``rbd migration``.
"""

import dataclasses
import json
import logging
from errno import EINPROGRESS, EINVAL, EIO
from typing import Any, Callable, Dict, List, Optional, Tuple

from rbdmigrate.control.lifecycle.method_choice import auto_by_default
from rbdmigrate.control.pace.timetable import parse_rate
from rbdmigrate.engine import Engine
from rbdmigrate.model.codec import to_plain
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions, parse_layout
from rbdmigrate.model.migration import Goal, State
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.verification import Verify

from .. import metrics
from ..options import Options
from . import (
    api_keys as key_commands,
)
from . import (
    audit,
    tables,
    top,
    touches,
)
from . import (
    check as check_command,
)
from . import (
    cutover as cutover_commands,
)
from . import (
    history as history_commands,
)
from . import (
    hooks as hook_commands,
)
from . import (
    imports as import_command,
)
from . import (
    pace as pace_commands,
)
from . import (
    plan_report as plan_report_command,
)
from . import (
    plans as plan_commands,
)
from . import (
    steer as all_commands,
)
from . import (
    verify as verify_commands,
)
from .command import (
    PREFIX,
    SOURCE,
    TARGET,
    Arg,
    Authorized,
    Call,
    Command,
    Report,
    goal_of,
    pool_of,
)

log = logging.getLogger(__name__)

Answer = Tuple[int, str, str]


_LAYOUT = (
    Arg("object_size"),
    Arg("image_feature", more=",n=N"),
    Arg("image_shared", "CephBool"),
    Arg("stripe_unit"),
    Arg("stripe_count", "CephInt"),
    Arg("data_pool"),
    Arg("journal_splay_width", "CephInt"),
    Arg("journal_object_size"),
    Arg("journal_pool"),
    Arg("image_format", "CephInt"),
    Arg("flatten", "CephBool"),
)
_FORCE = Arg("force", "CephBool")


def _layout(call: Call, target: ImageSpec) -> LayoutOptions:
    """Return the requested layout. Raises MigrationError, also for pools closed to the caller."""
    for name in ("data_pool", "journal_pool"):
        pool = call.text(name)
        if pool is not None:
            option = name.replace("_", "-")
            call.access.require(pool, target.namespace, f"which --{option} names")
    features = call.args.get("image_feature")
    image_format = call.number("image_format")
    return parse_layout(
        object_size=call.text("object_size"),
        image_feature=[features] if isinstance(features, str) else features,
        image_shared=call.flag("image_shared"),
        stripe_unit=call.text("stripe_unit"),
        stripe_count=call.number("stripe_count"),
        data_pool=call.text("data_pool"),
        journal_splay_width=call.number("journal_splay_width"),
        journal_object_size=call.text("journal_object_size"),
        journal_pool=call.text("journal_pool"),
        image_format=2 if image_format is None else image_format,
        flatten=call.flag("flatten"),
    )


def policy_of(call: Call, goal: Goal) -> Policy:
    """Return the policy that the options of a command describe. Raises MigrationError(EINVAL)."""
    rate, window = call.text("rate"), call.text("window")
    cutover_window = call.text("cutover_window") or "off"
    return Policy(
        goal=goal,
        priority=call.number("priority") or 0,
        rate=None if rate is None else parse_rate(rate, "--rate"),
        window="" if window is None else pace_commands.window_of(call, window),
        verify=verify_commands.verify_of(call, new=True) or Verify.AUTO,
        soak=verify_commands.soak_of(call) or 0.0,
        cutover=cutover_commands.policy_of(call),
        cutover_window=pace_commands.window_of(call, cutover_window, "--cutover-window"),
    )


def _begin(call: Call, goal: Goal) -> Report:
    if import_command.asked(call):
        wanted = import_command.Wanted(call)
        return call.engine.migrations.prepare_import(
            wanted.spec,
            wanted.target,
            _layout(call, wanted.target),
            policy_of(call, goal),
            inline=wanted.inline,
            logged=wanted.logged,
            as_raw=wanted.as_raw,
            method=wanted.method,
        )
    source, target = check_command.specs_of(call)
    policy = policy_of(call, goal)
    return call.engine.migrations.prepare(
        source,
        target,
        _layout(call, target or source),
        policy,
        force=call.flag("force"),
        method=import_command.method_of(call),
        auto=call.text("method") == import_command.AUTO or auto_by_default(policy),
    )


def _check(call: Call) -> Any:
    if import_command.asked(call):
        wanted = import_command.Wanted(call)
        return call.engine.migrations.check_import(
            wanted.spec,
            wanted.target,
            _layout(call, wanted.target),
            inline=wanted.inline,
            logged=wanted.logged,
            as_raw=wanted.as_raw,
            method=wanted.method,
        )
    source, target = check_command.specs_of(call)
    return call.engine.migrations.check(
        source,
        target,
        _layout(call, target or source),
        force=call.flag("force"),
        method=import_command.method_of(call),
        auto=True,
    )


def _prepare(call: Call) -> Report:
    return _begin(call, Goal.PREPARED)


def _run(call: Call) -> Report:
    return _begin(call, goal_of(call.text("goal") or Goal.COMMITTED.value))


def _execute(call: Call) -> Report:
    return call.engine.migrations.execute(call.spec("target_image", "target"))


def _abort(call: Call) -> Report:
    return call.engine.migrations.abort(
        call.spec("target_image", "target"),
        force=call.flag("force"),
        policy=cutover_commands.policy_of(call),
    )


def _status(call: Call) -> Any:
    if call.text("target_image"):
        return call.engine.migrations.get(call.spec("target_image", "target"))
    return call.engine.listing.reports(look=True)


def _ls(call: Call) -> List[Report]:
    state, pool = call.text("state"), call.text("pool")
    limit = call.number("limit") or 0
    if state is not None and state not in [s.value for s in State]:
        known = ", ".join(s.value for s in State)
        raise MigrationError(EINVAL, f"--state {state!r} is not known; choose from {known}.")
    found: List[Report] = call.engine.listing.reports(ended=call.flag("all"), look=True)
    if state is not None:
        found = [r for r in found if r["state"] == state]
    if pool is not None:
        found = [r for r in found if pool in (pool_of(r["source"]), pool_of(r["target"]))]
    if call.text("plan") is not None:
        found = [r for r in found if r["plan"] == call.text("plan")]
    return found[:limit] if limit > 0 else found


def _show_status(result: Any) -> str:
    return tables.detail(result) if isinstance(result, dict) else tables.listing(result)


TABLE = (
    Command(
        "check",
        (SOURCE, Arg("target_image"), *_LAYOUT, *import_command.ARGS, _FORCE),
        "Check whether an image can be migrated; changes nothing",
        "w",  # also for imports: their check makes the manager connect to the source
        _check,
        check_command.show,
    ),
    Command(
        "prepare",
        (
            SOURCE,
            Arg("target_image"),
            *_LAYOUT,
            Arg("verify"),
            *cutover_commands.ARGS,
            Arg("cutover_window"),
            *import_command.ARGS,
            _FORCE,
        ),
        "Link a new target image to the source; clients then use the target",
        "w",
        _prepare,
        tables.begun,
        unfinished=tables.held_up,
    ),
    Command(
        "execute",
        (TARGET,),
        "Copy the data of a prepared migration in the background",
        "w",
        _execute,
        tables.outcome,
    ),
    Command(
        "abort",
        (TARGET, Arg("force", "CephBool"), *cutover_commands.ARGS),
        "Undo a migration: remove the target, restore the source",
        "w",
        _abort,
        tables.outcome,
    ),
    *all_commands.TABLE,
    Command(
        "run",
        (
            SOURCE,
            Arg("target_image"),
            Arg("goal"),
            Arg("priority", "CephInt"),
            Arg("rate"),
            Arg("window"),
            *_LAYOUT,
            Arg("verify"),
            Arg("soak"),
            *cutover_commands.ARGS,
            Arg("cutover_window"),
            *import_command.ARGS,
            _FORCE,
        ),
        "Migrate an image unattended, up to the commit or another goal",
        "w",
        _run,
        tables.begun,
    ),
    Command(
        "status",
        (Arg("target_image"),),
        "Show one migration in full, or all as a table",
        "r",
        _status,
        _show_status,
    ),
    Command(
        "ls",
        (Arg("pool"), Arg("state"), Arg("all", "CephBool"), Arg("limit", "CephInt"), Arg("plan")),
        "List migrations",
        "r",
        _ls,
        tables.listing,
    ),
    *history_commands.TABLE,
    *cutover_commands.TABLE,
    *hook_commands.TABLE,
    *pace_commands.TABLE,
    *plan_commands.TABLE,
    *plan_report_command.TABLE,
    *verify_commands.TABLE,
    Command(
        "metrics",
        (),
        "Print the metrics for Prometheus, such as for a file of the node exporter",
        "r",
        lambda call: metrics.exposition(call.engine, call.release),
        str,
    ),
    *key_commands.TABLE,
)
BY_NAME = {command.name: command for command in TABLE}


def plain(result: Any) -> Any:
    """Return what a command returned as plain data, as ``--format json`` and REST show it."""
    if isinstance(result, top.View):
        return result.to_plain()
    one = result[0] if isinstance(result, list) and result else result
    return to_plain(result) if dataclasses.is_dataclass(one) else result


_STYLES: Dict[str, Callable[[Any], str]] = {
    "plain": str,
    "json": lambda result: json.dumps(plain(result)),
    "json-pretty": lambda result: json.dumps(plain(result), indent=4),
}


def run(command: Command, call: Call) -> Any:
    """Run a command for its caller. Raises MigrationError, also if the caller lacks the access."""
    refusal: Optional[MigrationError] = None
    try:
        touches.require(command.name, call)
        with call.engine.on_behalf_of(call.access, call.who):
            return command.run(call)
    except MigrationError as error:
        refusal = error
        raise
    finally:
        line = audit.line(command, call, refusal)
        if line:
            call.audit(line)


def handle(
    engine: Optional[Engine],
    options: Options,
    cmd: Dict[str, Any],
    authorized: Authorized,
    inbuf: Optional[str] = None,
    keys: Any = None,
    speaks_for: Callable[[str], bool] = lambda host: False,
    audit_log: Callable[[str], None] = lambda line: None,
    release: str = "",
) -> Answer:
    """Run a command and return an errno, its output and an error message. Never raises."""
    command = BY_NAME.get(cmd["prefix"][len(PREFIX) + 1 :])
    if command is None:
        return -EINVAL, "", f"{cmd['prefix']!r} is not a command of this module."
    if engine is None:
        return -11, "", "rbd_migration is still reading its records; try again in a few seconds."
    style = cmd.get("format") or "plain"
    if style not in _STYLES:
        known = ", ".join(_STYLES)
        return -EINVAL, "", f"--format {style} is not supported; choose from {known}."
    try:
        call = Call(
            cmd,
            engine,
            options,
            authorized,
            inbuf or None,
            keys,
            speaks_for=speaks_for,
            who=str(cmd.get("entity") or "command line"),
            audit=audit_log,
            release=release,
        )
        result = run(command, call)
        unfinished = command.unfinished(result)
        if unfinished:  # the ceph CLI shows no output of a command that fails
            return -EINPROGRESS, "", unfinished
        return 0, command.show(result) if style == "plain" else _STYLES[style](result), ""
    except MigrationError as error:
        return -error.errno, "", str(error)
    except Exception:  # a bug of the module: users get no traceback
        log.exception("%s failed", cmd["prefix"])
        return -EIO, "", "An error in the module; the manager's log has the details."
