"""What an inspection can find, with codes that stay. The documentation lists them."""

from __future__ import annotations

from dataclasses import dataclass
from errno import (
    EACCES,
    EINVAL,
    EIO,
    ENOENT,
    ETIMEDOUT,
)

from ..model.finding import Finding, Severity
from .errors import SourceError


@dataclass(frozen=True)
class Kind:
    """A problem as it is declared; ``meaning`` is for the documentation, ``errno`` of an error."""

    code: str
    severity: Severity
    meaning: str
    errno: int = 0


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

KINDS = (
    Kind(
        "CONFIG_KEY_MISSING", _E, "A config-key that the source-spec names cannot be read.", ENOENT
    ),
    Kind("SOURCE_SLOW", _E, "The source did not answer, or not fast enough.", ETIMEDOUT),
    Kind("SOURCE_TRUNCATED", _E, "The source ends before its size says so.", EIO),
    Kind("SOURCE_EMPTY", _E, "The source has no bytes.", EINVAL),
    Kind("SOURCE_CHANGED", _W, "The source is not the same as at the prepare."),
    Kind("SOURCE_UNREADABLE", _E, "The source made the inspection fail.", EIO),
    Kind("FILE_REACH", _E, "The file is outside the folders that are open to imports.", EACCES),
    Kind("FILE_MISSING", _E, "The file does not exist on the manager's host.", ENOENT),
    Kind("FILE_NOT_REGULAR", _E, "A directory, device, FIFO or socket.", EINVAL),
    Kind("FILE_UNREADABLE", _E, "The manager may not, or cannot, read the file.", EACCES),
    Kind("FILE_EVERYWHERE", _I, "Every host that opens the target reads the same path."),
)
BY_CODE = {kind.code: kind for kind in KINDS}
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def found(code: str, object_: str, message: str, remedy: str = "") -> Finding:
    """The Finding of a declared problem."""
    kind = BY_CODE[code]
    return Finding(code, kind.severity, object_, message, remedy, kind.errno)


def of_error(error: SourceError, object_: str) -> Finding:
    """The Finding of what ended an inspection."""
    return Finding(
        error.problem, Severity.ERROR, object_, error.message, error.remedy, error.errno or EIO
    )


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, otherwise as they were found, none twice."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: _ORDER[finding.severity]))
