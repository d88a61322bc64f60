"""The commands that show migrations: status and ls."""

from errno import EINVAL
from typing import Any, List

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import State

from . import tables
from .command import Arg, Call, Command, Report, pool_of


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
)
