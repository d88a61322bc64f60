"""``pause``, ``resume``, ``retry`` and ``cancel``: of one migration, of a plan, or of all."""

import time
from errno import EINVAL
from typing import Any, Callable, Dict, List, Tuple

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import ImageSpec

from . import plan_tables, tables
from . import plans as plan_commands
from .command import Arg, Call, Command, Report

_PATIENCE = 10.0  # seconds for all of them: one command holds up the next
_TARGET = Arg("target_image")
_ALL = Arg("all", "CephBool")
Act = Callable[[ImageSpec], Report]


def _pause(call: Call) -> Any:
    force = call.flag("force")
    if _of_plan(call):
        return plan_commands.pause(call)
    return _each(call, lambda target: call.engine.pause(target, force=force), _runs)


def _resume(call: Call) -> Any:
    if _of_plan(call):
        return plan_commands.resume(call)
    return _each(call, call.engine.resume, lambda report: bool(report["paused"]))


def _retry(call: Call) -> Any:
    if _of_plan(call):
        return plan_commands.retry(call)
    return _each(call, call.engine.retry, _waits)


def _cancel(call: Call) -> Any:
    if _of_plan(call):
        return plan_commands.cancel(call)
    return call.engine.abort(call.spec("target_image", "target"), force=call.flag("force"))


def _of_plan(call: Call) -> bool:
    """Whether a plan is named, and nothing beside it. MigrationError(EINVAL)."""
    if call.text("plan") is None:
        return False
    if call.text("target_image") or call.flag("all"):
        raise MigrationError(EINVAL, "Name a target, a plan or --all, one of them.")
    return True


def _runs(report: Report) -> bool:
    return not report["paused"] and report["goal"] != "aborted"


def _waits(report: Report) -> bool:
    hold = report["hold"]
    return report["state"] == "failed" or (hold is not None and hold["reason"] == "retry")


def _each(call: Call, act: Act, wanted: Callable[[Report], bool]) -> Any:
    """Act on the named migration, or with ``--all`` on those that ``wanted`` picks.

    The answer for all: ``done``, ``refused`` and ``left``, how many there was no time for.
    """
    if not call.flag("all"):
        return act(call.spec("target_image", "target"))
    if call.text("target_image"):
        raise MigrationError(EINVAL, "Name a target or give --all, not both.")
    waiting = [r["target"] for r in call.engine.list() if wanted(r)]
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


def _show(result: Dict[str, Any]) -> str:
    if "counts" in result:
        return plan_tables.outcome(result)
    if "done" not in result:
        return tables.outcome(result)
    lines = [f"Done for {len(result['done'])} migration(s)."]
    lines += [f"{one['target']}: {one['message']}" for one in result["refused"]]
    if result["left"]:
        lines.append(f"{result['left']} are left; give the command again.")
    return "\n".join(lines)


def _command(name: str, args: Tuple[Arg, ...], desc: str, run: Callable[[Call], Any]) -> Command:
    return Command(name, (_TARGET, _ALL, *args, Arg("plan")), desc, "w", run, _show)


TABLE = (
    _command(
        "pause",
        (Arg("force", "CephBool"),),
        "Stop a copy where it is and start no further step",
        _pause,
    ),
    _command("resume", (), "Go on where a pause stopped", _resume),
    _command("retry", (), "Try a failed migration again, a waiting one at once", _retry),
    Command(
        "cancel",
        (_TARGET, Arg("force", "CephBool"), Arg("plan")),
        "Stop a migration wherever it is and undo it, as abort does",
        "w",
        _cancel,
        _show,
    ),
)
