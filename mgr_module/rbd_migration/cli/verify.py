"""The command ``verify``, and the options about verification that other commands have."""

from errno import EINVAL
from typing import Optional

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.units import parse_seconds
from rbdmigrate.model.verification import Verify

from . import tables
from .command import TARGET, Arg, Call, Command, Report


def verify_of(call: Call, *, new: bool = False) -> Optional[Verify]:
    """Parse ``--verify``; None if it was not given. Raises MigrationError(EINVAL).

    ``new``: the command may create the migration, so ``auto`` is allowed.
    """
    known = [mode.value for mode in Verify if new or mode is not Verify.AUTO]
    return _mode(call.text("verify"), "--verify", known)


def soak_of(call: Call) -> Optional[float]:
    """Return ``--soak`` in seconds; None if it was not given. Raises MigrationError(EINVAL)."""
    text = call.text("soak")
    return None if text is None else parse_seconds(text, "--soak")


def _mode(text: Optional[str], option: str, known: "list[str]") -> Optional[Verify]:
    if text is None:
        return None
    if text not in known:
        raise MigrationError(
            EINVAL, f"{option} {text!r} is not known; choose from {', '.join(known)}."
        )
    return Verify(text)


def _verify(call: Call) -> Report:
    mode = _mode(call.text("mode") or "full", "--mode", ["sample", "full"])
    return call.engine.migrations.verify(call.spec("target_image", "target"), mode or Verify.FULL)


TABLE = (
    Command(
        "verify",
        (TARGET, Arg("mode")),
        "Compare the contents of source and target",
        "w",
        _verify,
        tables.outcome,
    ),
)
