"""The result of an inspection: plain data, for the pipe of a worker and for records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Optional

from ..model.finding import Finding, Severity


@dataclass(frozen=True)
class SnapshotInfo:
    """A snapshot of the source, the oldest first. ``size`` in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Inspection:
    """``size``: bytes of the disk; None when unknown. ``to_copy``: bytes that a copy of the head
    and its snapshots moves, if the format tells. ``identity``: for each stream, by its path in the
    spec, values that show whether it is still the same; see :func:`changes`. ``details``: text for
    people ("qcow version 3, clusters of 64 KiB"). ``transient``: the errors may pass by
    themselves. ``hanging_up``: the URLs whose servers do not keep a connection open.
    """

    size: Optional[int] = None
    snapshots: tuple[SnapshotInfo, ...] = ()
    to_copy: Optional[int] = None
    identity: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    details: tuple[str, ...] = ()
    transient: bool = False
    hanging_up: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid an import."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)


def _size_first(name: str) -> tuple[bool, str]:
    return name != "size", name


def _change(name: str, old: str, new: str) -> str:
    if name == "size":
        return f"it had {old} bytes and has {new} now"
    if name == "modified":
        return f"it was last modified at {_when(old)}, and now at {_when(new)}"
    return f"its {name} was {old} and is {new} now"


def _when(text: str) -> str:
    """A time for people. The input is in nanoseconds for files, and text for servers."""
    if not text.isdigit() or len(text) > 19:
        return text
    at = datetime.fromtimestamp(int(text) / 1e9, timezone.utc)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def changes(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Sentences about the changes between two identities; none if they are the same.

    A value that only one of them has is ignored: servers sometimes omit headers.
    """
    found = []
    for path, old in before.items():
        new = now.get(path, {})
        for name in sorted(old.keys() & new.keys(), key=_size_first):
            if old[name] != new[name]:
                found.append(
                    f"The source's {path} changed: {_change(name, old[name], new[name])}; the "
                    "copy may be a mixture of both versions."
                )
                break
    return found
