"""The commands that show migrations: status and ls."""

from errno import EINVAL
from typing import Any

from rbdmigrate.control.query import ListResult, Query
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import State

from . import tables
from .command import Arg, Call, Command


def _status(call: Call) -> Any:
    if call.text("target_image"):
        return call.engine.migrations.get(call.spec("target_image", "target"))
    return call.engine.listing.find(Query(limit=0), refresh=True)


def _ls(call: Call) -> ListResult:
    state = call.text("state")
    if state is not None and state not in [s.value for s in State]:
        known = ", ".join(s.value for s in State)
        raise MigrationError(EINVAL, f"--state {state!r} is not known; choose from {known}.")
    query = Query(
        limit=max(0, call.number("limit") or 0),
        states=frozenset() if state is None else frozenset({State(state)}),
        pool=call.text("pool") or "",
        plan=call.text("plan") or "",
        ended=call.flag("all"),
    )
    found: ListResult = call.engine.listing.find(query, refresh=True)
    return found


def _show_status(result: Any) -> str:
    return tables.detail(result) if isinstance(result, dict) else tables.listing(result.brief())


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
        lambda found: tables.listing(found.brief()),
    ),
)
