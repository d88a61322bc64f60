"""Declaring checks, and running all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..model.errors import MigrationError
from ..model.finding import Finding, Severity
from .facts import Facts


@dataclass(frozen=True)
class Found:
    """The result of a check: see :class:`~rbdmigrate.model.finding.Finding`."""

    object: str
    message: str
    remedy: str = ""


Function = Callable[[Facts], Iterator[Found]]


@dataclass(frozen=True)
class Check:
    """The declaration of a check. ``meaning`` is for the documentation, ``errno`` of its errors.

    ``untested`` says why the cluster tests cannot provoke it.
    """

    code: str
    severity: Severity
    meaning: str
    look: Function
    errno: int = 0
    untested: str = ""


CHECKS: list[Check] = []
"""All checks, in the order in which they are declared."""


def check(
    code: str, severity: Severity, meaning: str, *, errno: int = 0, untested: str = ""
) -> Callable[[Function], Function]:
    """Declare the check ``code``."""
    if (severity is Severity.ERROR) != bool(errno):
        raise ValueError(f"{code}: an error has an errno, others have none")

    def declare(look: Function) -> Function:
        CHECKS.append(Check(code, severity, meaning, look, errno, untested))
        return look

    return declare


_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def run(facts: Facts) -> list[Finding]:
    """Return all findings, errors first, otherwise in the order of the checks.

    Findings of the inspection of an external source are included.
    """
    found = [
        Finding(c.code, c.severity, f.object, f.message, f.remedy, c.errno)
        for c in CHECKS
        for f in c.look(facts)
    ]
    if facts.inspection is not None:
        inspection = facts.inspection.as_raw() if facts.wish.as_raw else facts.inspection
        found += inspection.findings
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


def refuse(findings: Iterable[Finding]) -> None:
    """Raise MigrationError for the first error, if there is one, with its remedy."""
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise MigrationError(finding.errno, finding.sentence)
