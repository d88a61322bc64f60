"""The same act on several migrations in one request, with an outcome for each of them."""

from dataclasses import replace
from typing import Any, Callable, Dict, Optional, Sequence

from rbdmigrate.model.cutover import CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import ImageSpec

from ...cli import audit, commands, steer
from ...cli import cutover as cutover_commands
from ...cli.command import Call
from .fields import FieldError

_WITH_CUTOVER = ("cutover", "abort", "cancel")


def act(call: Call, action: str, targets: Sequence[str]) -> Dict[str, Any]:
    """Begin ``action`` for each of the targets and return ``done``, ``refused`` and ``left``.

    Each target is authorized and judged by itself, and has its line in the audit log. ``call`` has
    the arguments that all have in common. Raises FieldError and MigrationError for those.
    """
    policy = cutover_commands.policy_of(call)
    if policy is not None and action not in _WITH_CUTOVER:
        raise FieldError(f"cutover is for the actions {', '.join(_WITH_CUTOVER)}; leave it out.")
    begin = _begins(call, policy)[action]
    command = commands.BY_NAME[action]

    def one(target: ImageSpec) -> None:
        asked = replace(call, args={**call.args, "target_image": str(target)})
        refusal: Optional[MigrationError] = None
        try:
            begin(target)
        except MigrationError as error:
            refusal = error
            raise
        finally:
            call.audit(audit.line(command, asked, refusal))

    with call.engine.on_behalf_of(call.access, call.who):
        return steer.act_on(call, list(dict.fromkeys(targets)), one)


def _begins(
    call: Call, policy: Optional[CutoverPolicy]
) -> Dict[str, Callable[[ImageSpec], object]]:
    """Return what begins each action, as far as it can without waiting for its outcome."""
    migrations = call.engine.migrations

    def abort(target: ImageSpec) -> None:
        migrations.begin_abort(target, policy=policy)

    return {
        "execute": migrations.execute,
        "cutover": lambda target: migrations.begin_cutover(target, policy),
        "commit": migrations.begin_commit,
        "abort": abort,
        "pause": migrations.pause,
        "resume": migrations.resume,
        "cancel": abort,
        "retry": migrations.retry,
    }
