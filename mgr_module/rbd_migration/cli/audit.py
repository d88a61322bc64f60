"""The line of the cluster's audit log about a command that changes something."""

from typing import Optional

from rbdmigrate.control.audit import one_line
from rbdmigrate.model.errors import MigrationError

from .command import Call, Command

_QUIET = ("check", "plan check", "agent poll")  # they change nothing, or come all the time
# Arguments that are shown, in this order; others may hold secrets or be long.
_SHOWN = (
    "source_image", "target_image", "plan", "image", "pool", "host", "hook", "name", "id", "role",
    "goal", "method", "mode", "verify", "rate", "timetable", "timezone", "guard", "priority",
    "window", "soak", "refresh_source", "cutover", "max_pause", "name_changes", "data_pool", "all",
    "force",
    "max_copies", "per_source_pool", "per_target_pool", "per_source_host", "max_steps",
    "max_verifies",
)  # fmt: skip


def line(command: Command, call: Call, error: Optional[MigrationError]) -> str:
    """Return the line: what was asked, by whom, and what came of it; empty for what only looks."""
    if command.perm != "w" or command.name in _QUIET:
        return ""
    given = [f"{name}={one_line(call.args[name])}" for name in _SHOWN if _given(call, name)]
    if call.inbuf:
        given.append("with a file")
    outcome = "accepted" if error is None else f"refused ({error.code})"
    asked = " ".join(("rbd migration", command.name, *given))
    return f"{asked} by {one_line(call.who)}: {outcome}"


def _given(call: Call, name: str) -> bool:
    return call.args.get(name) not in (None, "", False)
