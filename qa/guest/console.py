"""Reads what the guest reports on its serial console."""

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"^disk (?P<disk>\S+) seconds=(?P<seconds>\d+) found=(?P<found>\d+) writes=(?P<writes>\d+)"
    r" wrong=(?P<wrong>\d+) errors=(?P<errors>\d+) longest=(?P<longest>[\d.]+)\s*$",
    re.MULTILINE,
)
_COMPLAINT = re.compile(
    r"^((?:wrong|mixed) block|read error|write error|guest failed).*", re.MULTILINE
)


@dataclass(frozen=True)
class DiskReport:
    """What the guest said of one disk: since its start, in seconds of its own clock."""

    disk: str
    seconds: int
    found: int
    """Writes of an earlier run that it found noted on the disk, and looked at."""
    writes: int
    wrong: int
    """Blocks that did not hold what was written to them."""
    errors: int
    """Requests that failed."""
    longest: float
    """The longest request in seconds; a paused guest has no time that passes."""

    @property
    def clean(self) -> bool:
        return self.wrong == 0 and self.errors == 0


def reports(text: str) -> "dict[str, DiskReport]":
    """Return the last report of each disk, by its path."""
    found = {}
    for line in _LINE.finditer(text.replace("\r", "")):
        found[line["disk"]] = DiskReport(
            disk=line["disk"],
            seconds=int(line["seconds"]),
            found=int(line["found"]),
            writes=int(line["writes"]),
            wrong=int(line["wrong"]),
            errors=int(line["errors"]),
            longest=float(line["longest"]),
        )
    return found


def complaints(text: str) -> "list[str]":
    """Return the lines about wrong blocks and failed requests."""
    return [found[0] for found in _COMPLAINT.finditer(text.replace("\r", ""))]
