"""All commands ``ceph rbd migration ...``, and how one is run for its caller.

Declared as the manager's own command descriptions, which are the same from release 16 to 20. Option
names and meanings are those of stock ``rbd migration``.
"""

import dataclasses
import json
import logging
from errno import EINPROGRESS, EINVAL, EIO
from typing import Any, Callable, Dict, Optional, Tuple

from rbdmigrate.control.query import ListResult
from rbdmigrate.engine import Engine
from rbdmigrate.model.codec import to_plain
from rbdmigrate.model.errors import MigrationError

from .. import metrics
from ..options import Options
from . import (
    api_keys,
    audit,
    cutover,
    history,
    hooks,
    listing,
    migrate,
    pace,
    plan_report,
    plans,
    resources,
    steer,
    top,
    verify,
)
from .command import PREFIX, Authorized, Call, Command

log = logging.getLogger(__name__)

Answer = Tuple[int, str, str]

TABLE = (
    *migrate.TABLE,
    *steer.TABLE,
    *listing.TABLE,
    *history.TABLE,
    *cutover.TABLE,
    *hooks.TABLE,
    *pace.TABLE,
    *plans.TABLE,
    *plan_report.TABLE,
    *verify.TABLE,
    Command(
        "metrics",
        (),
        "Print the metrics for Prometheus, such as for a file of the node exporter",
        "r",
        lambda call: metrics.exposition(call.engine, call.release),
        str,
    ),
    *api_keys.TABLE,
)
BY_NAME = {command.name: command for command in TABLE}


def plain(result: Any) -> Any:
    """Return what a command returned as plain data, as ``--format json`` and REST show it."""
    if isinstance(result, top.View):
        return result.to_plain()
    if isinstance(result, ListResult):
        return list(result)
    one = result[0] if isinstance(result, list) and result else result
    return to_plain(result) if dataclasses.is_dataclass(one) else result


def _json(result: Any) -> str:
    return result.json() if isinstance(result, ListResult) else json.dumps(plain(result))


_STYLES: Dict[str, Callable[[Any], str]] = {
    "plain": str,
    "json": _json,
    "json-pretty": lambda result: json.dumps(plain(result), indent=4),
}


def run(command: Command, call: Call) -> Any:
    """Run a command for its caller. Raises MigrationError, also if the caller lacks the access."""
    refusal: Optional[MigrationError] = None
    try:
        resources.require(command.name, call)
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
