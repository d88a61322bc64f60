"""The commands: ``ceph rbd migration ...`` as a table, from its texts to calls of the engine.

Declared as the manager's own command descriptions, which are the same from release 16 to 20.
Option names and meanings are those of stock ``rbd migration``.
"""

import json
import logging
from dataclasses import dataclass
from errno import EINVAL, EIO
from typing import Any, Callable, Dict, List, Optional, Tuple

from rbdmigrate.engine import Engine
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions, parse_layout
from rbdmigrate.model.migration import Goal, State
from rbdmigrate.model.spec import ImageSpec

from . import tables

log = logging.getLogger(__name__)

PREFIX = "rbd migration"
Answer = Tuple[int, str, str]
Report = Dict[str, Any]
Authorized = Callable[[str, str], bool]


@dataclass(frozen=True)
class Arg:
    """One argument of a command, as the ceph CLI is told of it."""

    name: str
    type: str = "CephString"
    required: bool = False
    more: str = ""

    def __str__(self) -> str:
        optional = "" if self.required else ",req=false"
        return f"name={self.name},type={self.type}{self.more}{optional}"


@dataclass(frozen=True)
class Call:
    """A command as it was given: its arguments, the engine, and what the caller may touch."""

    args: Dict[str, Any]
    engine: Engine
    authorized: Authorized

    def text(self, name: str) -> Optional[str]:
        """An optional text argument; empty counts as left out."""
        value = self.args.get(name)
        return str(value) if value not in (None, "") else None

    def number(self, name: str) -> Optional[int]:
        """An optional whole number."""
        value = self.args.get(name)
        try:
            return None if value is None else int(value)
        except (TypeError, ValueError) as error:
            option = name.replace("_", "-")
            raise MigrationError(EINVAL, f"--{option} {value!r} is not a whole number.") from error

    def flag(self, name: str) -> bool:
        """A boolean argument."""
        return str(self.args.get(name, "")).lower() in ("true", "1", "yes")

    def spec(self, name: str, what: str) -> ImageSpec:
        """A required image spec that the caller may touch."""
        spec = self.engine.spec(self.text(name) or "", what)
        if not self.authorized(spec.pool, spec.namespace):
            raise MigrationError(13, f"Your capabilities do not cover {what} {spec}.")
        return spec


@dataclass(frozen=True)
class Command:
    """A command of the table. ``show`` renders what ``run`` returns, for people."""

    name: str
    args: Tuple[Arg, ...]
    desc: str
    perm: str
    run: Callable[[Call], Any]
    show: Callable[[Any], str]

    def describe(self) -> Dict[str, Any]:
        """The description that the manager hands to the ceph CLI."""
        words = [f"{PREFIX} {self.name}", *(str(arg) for arg in self.args)]
        return {"cmd": " ".join(words), "desc": self.desc, "perm": self.perm}


# Not "target": the ceph CLI uses that key of a command itself (where it is sent to).
_SOURCE = Arg("source_image", required=True)
_TARGET = Arg("target_image", required=True)
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


def _layout(call: Call) -> LayoutOptions:
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


def _begin(call: Call, goal: Goal) -> Report:
    source = call.spec("source_image", "source")
    target = call.spec("target_image", "target") if call.text("target_image") else None
    priority = call.number("priority") or 0
    return call.engine.prepare(source, target, _layout(call), goal, priority)


def _prepare(call: Call) -> Report:
    return _begin(call, Goal.PREPARED)


def _run(call: Call) -> Report:
    text = call.text("goal") or Goal.COMMITTED.value
    goals = {goal.value: goal for goal in Goal if goal is not Goal.ABORTED}
    if text not in goals:
        raise MigrationError(
            EINVAL, f"--goal {text!r} is not known; choose from {', '.join(goals)}."
        )
    return _begin(call, goals[text])


def _execute(call: Call) -> Report:
    return call.engine.execute(call.spec("target_image", "target"))


def _commit(call: Call) -> Report:
    return call.engine.commit(call.spec("target_image", "target"), force=call.flag("force"))


def _abort(call: Call) -> Report:
    return call.engine.abort(call.spec("target_image", "target"), force=call.flag("force"))


def _pause(call: Call) -> Report:
    return call.engine.pause(call.spec("target_image", "target"))


def _resume(call: Call) -> Report:
    return call.engine.resume(call.spec("target_image", "target"))


def _retry(call: Call) -> Report:
    return call.engine.retry(call.spec("target_image", "target"))


def _status(call: Call) -> Any:
    if call.text("target_image"):
        return call.engine.get(call.spec("target_image", "target"))
    return _visible(call, call.engine.list())


def _ls(call: Call) -> List[Report]:
    state, pool = call.text("state"), call.text("pool")
    limit = call.number("limit") or 0
    if state is not None and state not in [s.value for s in State]:
        known = ", ".join(s.value for s in State)
        raise MigrationError(EINVAL, f"--state {state!r} is not known; choose from {known}.")
    found = _visible(call, call.engine.list(ended=call.flag("all")))
    if state is not None:
        found = [r for r in found if r["state"] == state]
    if pool is not None:
        found = [r for r in found if pool in (_pool(r["source"]), _pool(r["target"]))]
    return found[:limit] if limit > 0 else found


def _visible(call: Call, reports: List[Report]) -> List[Report]:
    """The migrations whose target the caller's capabilities cover."""
    return [r for r in reports if call.authorized(_pool(r["target"]), _namespace(r["target"]))]


def _pool(spec: str) -> str:
    return spec.split("/", maxsplit=1)[0]


def _namespace(spec: str) -> str:
    parts = spec.split("/")
    return parts[1] if len(parts) == 3 else ""


def _show_status(result: Any) -> str:
    return tables.detail(result) if isinstance(result, dict) else tables.listing(result)


TABLE = (
    Command(
        "prepare",
        (_SOURCE, Arg("target_image"), *_LAYOUT),
        "Link a new target image to the source; clients then use the target",
        "w",
        _prepare,
        tables.outcome,
    ),
    Command(
        "execute",
        (_TARGET,),
        "Copy the data of a prepared migration in the background",
        "w",
        _execute,
        tables.outcome,
    ),
    Command(
        "commit",
        (_TARGET, Arg("force", "CephBool")),
        "Finish an executed migration: remove the source",
        "w",
        _commit,
        tables.outcome,
    ),
    Command(
        "abort",
        (_TARGET, Arg("force", "CephBool")),
        "Undo a migration: remove the target, give the source back",
        "w",
        _abort,
        tables.outcome,
    ),
    Command(
        "cancel",
        (_TARGET, Arg("force", "CephBool")),
        "Stop a migration wherever it is and undo it, as abort does",
        "w",
        _abort,
        tables.outcome,
    ),
    Command(
        "pause",
        (_TARGET,),
        "Stop a copy where it is and start no further step",
        "w",
        _pause,
        tables.outcome,
    ),
    Command(
        "resume",
        (_TARGET,),
        "Go on where a pause stopped",
        "w",
        _resume,
        tables.outcome,
    ),
    Command(
        "retry",
        (_TARGET,),
        "Try a failed migration again, a waiting one at once",
        "w",
        _retry,
        tables.outcome,
    ),
    Command(
        "run",
        (_SOURCE, Arg("target_image"), Arg("goal"), Arg("priority", "CephInt"), *_LAYOUT),
        "Migrate an image the whole way, unattended",
        "w",
        _run,
        tables.outcome,
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
        (Arg("pool"), Arg("state"), Arg("all", "CephBool"), Arg("limit", "CephInt")),
        "List migrations",
        "r",
        _ls,
        tables.listing,
    ),
)
_BY_PREFIX = {f"{PREFIX} {command.name}": command for command in TABLE}


_STYLES: Dict[str, Callable[[Any], str]] = {
    "plain": str,
    "json": json.dumps,
    "json-pretty": lambda result: json.dumps(result, indent=4),
}


def handle(engine: Optional[Engine], cmd: Dict[str, Any], authorized: Authorized) -> Answer:
    """Carry out a command; never raises: the answer is an errno, the output and one sentence."""
    command = _BY_PREFIX.get(cmd["prefix"])
    if command is None:
        return -EINVAL, "", f"{cmd['prefix']!r} is not a command of this module."
    if engine is None:
        return -11, "", "rbd_migration is still reading its records; try again in a few seconds."
    style = cmd.get("format") or "plain"
    if style not in _STYLES:
        known = ", ".join(_STYLES)
        return -EINVAL, "", f"--format {style} is not offered; choose from {known}."
    try:
        result = command.run(Call(cmd, engine, authorized))
    except MigrationError as error:
        return -error.errno, "", str(error)
    except Exception:  # an error of ours is no traceback for the user
        log.exception("%s failed", cmd["prefix"])
        return -EIO, "", "An error in the module; the manager's log has the details."
    return 0, command.show(result) if style == "plain" else _STYLES[style](result), ""
