"""Declaring checks, and running all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Optional

from ..model.errors import MigrationError
from ..model.finding import Finding, Severity
from ..model.states import Method
from .facts import Facts

# What a check is for: ``live`` also imports, ``copy`` nothing else, ``warm`` copies images only.
ALL = frozenset(Method)
LIVE = frozenset({Method.LIVE})
WARM = frozenset({Method.WARM})
IMAGE_METHODS = frozenset({Method.LIVE, Method.WARM})
IMPORT_METHODS = frozenset({Method.LIVE, Method.COPY})


def method_names(methods: frozenset[Method]) -> str:
    """The methods as text for people: ``live, warm``."""
    return ", ".join(method.value for method in Method if method in methods)


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

    ``methods``: the methods that it applies to. ``untested`` says why the cluster tests cannot
    provoke it.
    """

    code: str
    severity: Severity
    meaning: str
    function: Function
    methods: frozenset[Method]
    errno: int = 0
    untested: str = ""


CHECKS: list[Check] = []
"""All checks, in the order in which they are declared."""


def check(
    code: str,
    severity: Severity,
    meaning: str,
    *,
    methods: frozenset[Method],
    errno: int = 0,
    untested: str = "",
) -> Callable[[Function], Function]:
    """Declare the check ``code``, which is for migrations by one of the ``methods``."""
    if (severity is Severity.ERROR) != bool(errno):
        raise ValueError(f"{code}: an error has an errno, others have none")

    def declare(look: Function) -> Function:
        CHECKS.append(Check(code, severity, meaning, look, methods, errno, untested))
        return look

    return declare


_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def run(facts: Facts) -> list[Finding]:
    """Return all findings for the method of the request, errors first, otherwise in the order of
    the checks.

    Findings of the inspection of an external source are included.
    """
    found = [
        Finding(c.code, c.severity, f.object, f.message, f.remedy, c.errno)
        for c in CHECKS
        if facts.request.method in c.methods
        for f in c.function(facts)
    ]
    if facts.inspection is not None:
        inspection = facts.inspection.as_raw() if facts.request.as_raw else facts.inspection
        found += inspection.findings
    if facts.request.method is Method.LIVE and _copy_helps(facts, found):
        found = [_with_copy(finding) for finding in found]
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


# Errors that only librbd has a problem with.
COPY_HELPS = frozenset(
    {
        "QCOW_BACKING",
        "QCOW_DATA_FILE",
        "QCOW_EXTENDED_L2",
        "QCOW_COMPRESSION",
        "QCOW_COMPRESSED",
        "QCOW_ZEROED",
        "RAW_SNAPSHOTS_ALIGNED",
        "HTTP_REDIRECT",
        "HTTP_NO_HEAD",
        "TLS_HANGS_UP",
        "HTTP_HANGS_UP",
        "SOURCE_RELEASE",
    }
)


def _copy_helps(facts: Facts, found: Iterable[Finding]) -> bool:
    """Whether the method copy reads an import for which all of this was found.

    QEMU does not read what a snapshot has beyond the end of the disk.
    """
    spec, inspection = facts.request.spec, facts.inspection
    if spec is None or not all(f.code in COPY_HELPS for f in found if f.severity is Severity.ERROR):
        return False
    if spec.format != "qcow" or inspection is None or inspection.size is None:
        return True
    return all(snapshot.size <= inspection.size for snapshot in inspection.snapshots)


def _with_copy(finding: Finding) -> Finding:
    """The finding about an import by librbd, with the method that does without librbd."""
    if finding.code not in COPY_HELPS:
        return finding
    message = f"{finding.message.rstrip('.')}; or add `--method copy`, which reads it otherwise."
    return replace(finding, message=message)


def first_error(findings: Iterable[Finding]) -> Optional[Finding]:
    """Return the error that refuses a migration, if there is one."""
    return next((found for found in findings if found.severity is Severity.ERROR), None)


def refuse(findings: Iterable[Finding]) -> None:
    """Raise MigrationError for the first error, if there is one, with its remedy."""
    error = first_error(findings)
    if error is not None:
        raise MigrationError(error.errno, error.sentence)
