"""``pause``, ``resume``, ``retry``, ``cancel`` and ``commit``: of one migration, a plan, or all."""

import time
from errno import EINVAL
from typing import Any, Callable, Dict, List, Sequence

from rbdmigrate.control.query import Query
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import ImageSpec

from . import plan_tables, tables
from . import plans as plan_commands
from .command import Arg, Call, Command, Report

_PATIENCE = 10.0  # seconds for all of them together: the manager runs one command at a time
_TARGET = Arg("target_image")
_ALL = Arg("all", "CephBool")
Act = Callable[[ImageSpec], object]


def _pause(call: Call) -> Any:
    force = call.flag("force")
    if _of_plan(call):
        return plan_commands.pause(call)
    return _each(call, lambda target: call.engine.migrations.pause(target, force=force), _runs)


def _resume(call: Call) -> Any:
    if _of_plan(call):
        return plan_commands.resume(call)
    return _each(call, call.engine.migrations.resume, lambda report: bool(report["paused"]))


def _retry(call: Call) -> Any:
    if _of_plan(call):
        return plan_commands.retry(call)
    return _each(call, call.engine.migrations.retry, _waits)


def _cancel(call: Call) -> Any:
    if _of_plan(call):
        return plan_commands.cancel(call)
    return call.engine.migrations.abort(
        _target(call, "or a plan with --plan"), force=call.flag("force")
    )


def _commit(call: Call) -> Any:
    force = call.flag("force")
    if not _of_plan(call):
        return call.engine.migrations.commit(_target(call, "or a plan with --plan"), force=force)
    if force:
        raise MigrationError(
            EINVAL, "--force is for a single migration; check each one and commit it by itself."
        )
    plan = call.engine.plans.definition(call.text("plan") or "").name
    return _for_each(
        call,
        call.engine.migrations.begin_commit,
        lambda report: report["plan"] == plan and _copied(report),
    )


def _copied(report: Report) -> bool:
    """Whether all data is copied and the migration waits for a user to commit it."""
    there = report["state"] in ("executed", "cut-over", "verifying", "verified")
    used = report["method"] != "warm" or report["clients"] == "target"
    return there and used and report["goal"] not in ("committed", "aborted")


def _target(call: Call, otherwise: str) -> ImageSpec:
    """Return the named target. MigrationError(EINVAL) without one, naming ``otherwise``."""
    if not call.text("target_image"):
        raise MigrationError(EINVAL, f"Give a target, such as nvme/vm1, {otherwise}.")
    return call.spec("target_image", "target")


def _of_plan(call: Call) -> bool:
    """Whether a plan is named. Raises MigrationError(EINVAL) if something else is named too."""
    if call.text("plan") is None:
        return False
    if call.text("target_image") or call.flag("all"):
        raise MigrationError(EINVAL, "Give only one of a target, --plan and --all.")
    return True


def _runs(report: Report) -> bool:
    return not report["paused"] and report["goal"] != "aborted"


def _waits(report: Report) -> bool:
    hold = report["hold"]
    return report["state"] == "failed" or (hold is not None and hold["reason"] == "retry")


def _each(call: Call, act: Act, wanted: Callable[[Report], bool]) -> Any:
    """Apply ``act`` to the named migration, or with ``--all`` to those that ``wanted`` selects."""
    if not call.flag("all"):
        return act(_target(call, "a plan with --plan, or --all"))
    if call.text("target_image"):
        raise MigrationError(EINVAL, "Give a target or --all, not both.")
    return _for_each(call, act, wanted)


def _for_each(call: Call, act: Act, wanted: Callable[[Report], bool]) -> Any:
    """Apply ``act`` to all that ``wanted`` selects, as :func:`act_on` does."""
    under_way = call.engine.listing.find(Query(limit=0))
    targets = [r["target"] for r in under_way if wanted(r)]
    return act_on(call, targets, act)


def act_on(call: Call, targets: Sequence[str], act: Act) -> Dict[str, Any]:
    """Apply ``act`` to migrations and return lists of ``done`` and ``refused``.

    ``left`` is the number of those that there was no time for.
    """
    waiting = list(targets)
    done: List[str] = []
    refused: List[Dict[str, str]] = []
    deadline = time.monotonic() + _PATIENCE
    while waiting and time.monotonic() < deadline:
        target = waiting.pop(0)
        try:
            act(call.engine.spec(target, "target"))
            done.append(target)
        except MigrationError as error:
            refused.append({"target": target, "code": error.code, "message": str(error)})
    return {"done": done, "refused": refused, "left": len(waiting)}


def _show(result: Dict[str, Any], done: str, none: str) -> str:
    """Format a result: ``done`` is the verb for its targets, ``none`` the text if it has none."""
    if "counts" in result:
        return plan_tables.outcome(result)
    if "done" not in result:
        return tables.outcome(result)
    lines = []
    if result["done"]:
        lines.append(f"{done}: {', '.join(result['done'])}")
    lines += [f"{one['target']}: {one['message']}" for one in result["refused"]]
    if result["left"]:
        lines.append(f"{result['left']} not processed yet; run the command again.")
    return "\n".join(lines) or none


def _shows(done: str, none: str) -> Callable[[Dict[str, Any]], str]:
    return lambda result: _show(result, done, none)


TABLE = (
    Command(
        "commit",
        (_TARGET, Arg("force", "CephBool"), Arg("plan")),
        "Finish an executed migration, or all of a plan: remove the source",
        "w",
        _commit,
        _shows("being committed", "No migration of the plan waits for a commit."),
    ),
    Command(
        "pause",
        (_TARGET, _ALL, Arg("force", "CephBool"), Arg("plan")),
        "Interrupt the copy of a migration and start no further step",
        "w",
        _pause,
        _shows("paused", "There is no migration to pause."),
    ),
    Command(
        "resume",
        (_TARGET, _ALL, Arg("plan")),
        "Continue a paused migration",
        "w",
        _resume,
        _shows("resumed", "No migration is paused."),
    ),
    Command(
        "retry",
        (_TARGET, _ALL, Arg("plan")),
        "Try a failed migration again, or a waiting one immediately",
        "w",
        _retry,
        _shows("tried again", "No migration has failed or waits for another attempt."),
    ),
    Command(
        "cancel",
        (_TARGET, Arg("force", "CephBool"), Arg("plan")),
        "Stop a migration in any state and undo it, as abort does",
        "w",
        _cancel,
        _shows("cancelled", "There is nothing to cancel."),
    ),
)
