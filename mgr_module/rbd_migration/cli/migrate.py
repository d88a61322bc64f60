"""The commands for the steps of a migration: check, prepare, execute, abort, run."""

from errno import EINVAL
from typing import Any

from rbdmigrate.control.lifecycle.method_choice import auto_by_default
from rbdmigrate.control.pace.timetable import parse_rate
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions, parse_layout
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal
from rbdmigrate.model.verification import Verify

from . import check as check_command
from . import cutover as cutover_commands
from . import imports as import_command
from . import pace as pace_commands
from . import tables
from . import verify as verify_commands
from .command import SOURCE, TARGET, Arg, Call, Command, Report, goal_of

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


def _policy_of(call: Call, goal: Goal) -> Policy:
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
        refresh_source=pace_commands.interval_of(call) or 0.0,
    )


def _begin(call: Call, goal: Goal) -> Report:
    if import_command.asked(call):
        wanted = import_command.Wanted(call)
        return call.engine.new_migrations.prepare_import(
            wanted.spec,
            wanted.target,
            _layout(call, wanted.target),
            _policy_of(call, goal),
            inline=wanted.inline,
            logged=wanted.logged,
            as_raw=wanted.as_raw,
            method=wanted.method,
        )
    source, target = check_command.specs_of(call)
    policy = _policy_of(call, goal)
    return call.engine.new_migrations.prepare(
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
        return call.engine.new_migrations.check_import(
            wanted.spec,
            wanted.target,
            _layout(call, wanted.target),
            inline=wanted.inline,
            logged=wanted.logged,
            as_raw=wanted.as_raw,
            method=wanted.method,
        )
    source, target = check_command.specs_of(call)
    return call.engine.new_migrations.check(
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
    target, snapshot = call.spec("target_image", "target"), call.text("snap") or ""
    force = call.flag("force")
    if force and not snapshot:
        raise MigrationError(EINVAL, "--force is for a later snapshot of an import; add --snap.")
    return call.engine.migrations.execute(target, snapshot=snapshot, force=force)


def _abort(call: Call) -> Report:
    return call.engine.migrations.abort(
        call.spec("target_image", "target"),
        force=call.flag("force"),
        policy=cutover_commands.policy_of(call),
    )


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
            Arg("refresh_source"),
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
        (TARGET, Arg("snap"), _FORCE),
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
            Arg("refresh_source"),
            *import_command.ARGS,
            _FORCE,
        ),
        "Migrate an image unattended, up to the commit or another goal",
        "w",
        _run,
        tables.begun,
    ),
)
