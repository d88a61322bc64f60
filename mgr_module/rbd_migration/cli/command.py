"""A command: its arguments as declared to the ceph CLI, and as a user gave them."""

from dataclasses import dataclass, field
from errno import EACCES, EINVAL
from typing import Any, Callable, Dict, Optional, Tuple

from rbdmigrate.control.access import Access
from rbdmigrate.engine import Engine
from rbdmigrate.model.bounds import MAX_NUMBER, shortened
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal

from ..options import Options

PREFIX = "rbd migration"
Report = Dict[str, Any]
Authorized = Callable[[str, str], bool]


@dataclass(frozen=True)
class Arg:
    """One argument of a command, as declared to the ceph CLI."""

    name: str
    type: str = "CephString"
    required: bool = False
    more: str = ""

    def __str__(self) -> str:
        optional = "" if self.required else ",req=false"
        return f"name={self.name},type={self.type}{self.more}{optional}"


@dataclass(frozen=True)
class Call:
    """A command as it was given: its arguments, the engine, and what the caller may access.

    ``inbuf`` is the text of the file that was given with ``-i``. ``keys`` are the API keys
    (``http.auth.keys``), for the commands about them. ``may_create`` tells whether the caller may
    create plans and migrations, for front ends where that is another permission than changing them.
    ``speaks_for`` tells whether the caller may speak for a hypervisor host, as its agent does.
    ``who`` is the caller's name. ``audit`` takes a line for the cluster's audit log.
    ``release`` is Ceph's.
    ``logged``: the arguments are in the monitors' audit log, as those of the ``ceph`` CLI are.
    """

    args: Dict[str, Any]
    engine: Engine
    options: Options
    authorized: Authorized
    inbuf: Optional[str] = field(default=None, repr=False)
    keys: Any = None
    may_create: bool = True
    speaks_for: Callable[[str], bool] = lambda host: False
    who: str = "command line"
    audit: Callable[[str], None] = lambda line: None
    logged: bool = True
    release: str = ""

    @property
    def access(self) -> Access:
        """The pools and namespaces that the caller may access."""
        return Access(self.authorized, self.engine.pool_name)

    def text(self, name: str) -> Optional[str]:
        """Return an optional text argument, None if it is empty or was left out."""
        value = self.args.get(name)
        return str(value) if value not in (None, "") else None

    def number(self, name: str) -> Optional[int]:
        """Return an optional whole number. Raises MigrationError(EINVAL)."""
        value = self.args.get(name)
        option = name.replace("_", "-")
        try:
            number = None if value is None else int(value)
        except (TypeError, ValueError, OverflowError) as error:
            shown = repr(shortened(str(value), 60))
            raise MigrationError(EINVAL, f"--{option} {shown} is not a whole number.") from error
        if number is not None and not -MAX_NUMBER <= number <= MAX_NUMBER:
            raise MigrationError(EINVAL, f"--{option} is too large; give a number of 64 bits.")
        return number

    def flag(self, name: str) -> bool:
        """Return a boolean argument."""
        return str(self.args.get(name, "")).lower() in ("true", "1", "yes")

    def spec(self, name: str, what: str) -> ImageSpec:
        """Return a required image spec. Raises MigrationError, EACCES if access is denied."""
        spec = self.engine.spec(self.text(name) or "", what)
        if not self.authorized(spec.pool, spec.namespace):
            raise MigrationError(EACCES, f"Your capabilities do not cover the {what} {spec}.")
        return spec


@dataclass(frozen=True)
class Command:
    """A command of the table. ``show`` formats the result of ``run`` for people.

    ``unfinished`` returns a sentence why the result of ``run`` is not yet what the user asked for,
    or an empty text. If there is one the command fails with EINPROGRESS, so that scripts do not
    take it for done.
    """

    name: str
    args: Tuple[Arg, ...]
    desc: str
    perm: str
    run: Callable[[Call], Any]
    show: Callable[[Any], str]
    poll: bool = False
    unfinished: Callable[[Any], str] = lambda result: ""

    def describe(self) -> Dict[str, Any]:
        """Return the description that the manager passes to the ceph CLI."""
        words = [f"{PREFIX} {self.name}", *(str(arg) for arg in self.args)]
        described = {"cmd": " ".join(words), "desc": self.desc, "perm": self.perm}
        return {**described, "poll": "true"} if self.poll else described


def goal_of(text: str) -> Goal:
    """Return the goal that a user named. Raises MigrationError(EINVAL)."""
    goals = {goal.value: goal for goal in Goal if goal is not Goal.ABORTED}
    if text not in goals:
        raise MigrationError(
            EINVAL, f"--goal {text!r} is not known; choose from {', '.join(goals)}."
        )
    return goals[text]


# Not "target": the ceph CLI itself uses that key of a command for the daemon that it is sent to.
SOURCE = Arg("source_image", required=True)
TARGET = Arg("target_image", required=True)
