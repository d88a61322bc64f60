"""The commands about plans: ``plan create``, ``plan start`` and others."""

from errno import EINVAL
from typing import Any, Dict, List

from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Definition, PlanComparison
from rbdmigrate.model.source_spec import parse_source_spec

from . import imports as import_command
from . import plan_tables
from .command import Arg, Call, Command

Report = Dict[str, Any]
_PLAN = Arg("plan", required=True)


def _given(call: Call) -> Definition:
    """Parse the plan in the file given with ``-i``.

    Raises MigrationError(EINVAL), and EACCES if the caller may not access every image of it.
    """
    if not call.inbuf:
        raise MigrationError(EINVAL, "Give the plan as a file: -i plan.yaml.")
    default = call.engine.spec("x", "image").pool
    definition = parse_plan(call.inbuf, default, call.options.settings.timezone)
    call.access.require_plan(definition)
    for listed in definition.images:
        if listed.source_spec:
            import_command.refuse_forbidden(call, parse_source_spec(listed.source_spec))
    for given in definition.lists:
        import_command.refuse_forbidden(call, given.spec())
    return definition


def _name(call: Call) -> str:
    """Return the name of the plan; the engine checks whether the caller may access it."""
    return call.text("plan") or ""


def _create(call: Call) -> Report:
    return call.engine.plans.create(_given(call))


def _apply(call: Call) -> Report:
    return call.engine.plans.apply(_given(call), may_create=call.may_create)


def _compare(call: Call) -> PlanComparison:
    return call.engine.plans.compare(_given(call))


def _show_comparison(found: PlanComparison) -> str:
    if found.state is None:
        return f"There is no plan {found.plan!r}."
    how = "is the same" if found.same else "differs"
    return f"The plan {found.plan!r}, which is {found.state}, {how}."


def _check(call: Call) -> Report:
    return call.engine.plans.check(_name(call))


def _ls(call: Call) -> List[Report]:
    found: List[Report] = call.engine.plans.list()
    return found


def _show(call: Call) -> Report:
    return call.engine.plans.get(_name(call))


def _start(call: Call) -> Report:
    return call.engine.plans.begin(_name(call))


def pause(call: Call) -> Report:
    """Pause the named plan."""
    return call.engine.plans.pause(_name(call))


def resume(call: Call) -> Report:
    """Resume the named plan."""
    return call.engine.plans.resume(_name(call))


def retry(call: Call) -> Report:
    """Retry what failed in the named plan."""
    return call.engine.plans.retry(_name(call))


def _skip(call: Call) -> Report:
    return call.engine.plans.skip(_name(call), call.text("image") or "")


def cancel(call: Call) -> Report:
    """Cancel the named plan."""
    return call.engine.plans.cancel(_name(call), force=call.flag("force"))


def _remove(call: Call) -> Report:
    return call.engine.plans.remove(_name(call))


TABLE = (
    Command("plan create", (), "Create a plan from a file (-i)", "w", _create, plan_tables.outcome),
    Command(
        "plan apply",
        (),
        "Create a plan from a file (-i), or change the plan of that name",
        "w",
        _apply,
        plan_tables.outcome,
    ),
    Command(
        "plan compare",
        (),
        "Compare a plan's file (-i) with the plan of that name; changes nothing",
        "r",
        _compare,
        _show_comparison,
    ),
    Command(
        "plan check",
        (_PLAN,),
        "Check all images of a plan; changes nothing",
        "w",  # as for ``check``: a plan may hold imports
        _check,
        plan_tables.check,
    ),
    Command("plan ls", (), "List plans", "r", _ls, plan_tables.listing),
    Command("plan show", (_PLAN,), "Show a plan and its images", "r", _show, plan_tables.detail),
    Command(
        "plan start",
        (_PLAN,),
        "Select the images of a plan and begin to migrate them",
        "w",
        _start,
        plan_tables.begun,
    ),
    Command(
        "plan pause",
        (_PLAN,),
        "Interrupt the copies of a plan and begin no more of its images",
        "w",
        pause,
        plan_tables.outcome,
    ),
    Command(
        "plan resume",
        (_PLAN,),
        "Continue a plan that was paused, or that stopped after failures",
        "w",
        resume,
        plan_tables.outcome,
    ),
    Command(
        "plan skip",
        (_PLAN, Arg("image", required=True)),
        "Skip an image of a plan, if it has not begun",
        "w",
        _skip,
        plan_tables.outcome,
    ),
    Command(
        "plan cancel",
        (_PLAN, Arg("force", "CephBool")),
        "Abort the migrations under way of a plan and begin no more of its images",
        "w",
        cancel,
        plan_tables.outcome,
    ),
    Command(
        "plan rm",
        (_PLAN,),
        "Remove a plan that has no migrations under way",
        "w",
        _remove,
        plan_tables.removed,
    ),
)
