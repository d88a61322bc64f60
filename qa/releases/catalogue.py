"""Which release of Ceph comes with which Debian, and which one this process sees."""

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from typing import Optional

#: Set inside a chroot to the release that it holds.
INSIDE = "RBD_MIGRATION_RELEASE"


@dataclass(frozen=True)
class Release:
    """A release of Ceph. ``suite`` is the Debian that has it; None: this machine's own."""

    name: str
    major: int
    suite: Optional[str]


KNOWN = {
    release.name: release
    for release in (
        Release("pacific", 16, "bookworm"),
        Release("tentacle", 20, "forky"),
    )
}


@functools.lru_cache(maxsize=1)
def here() -> str:
    """The name of the release that is installed where this process runs."""
    inside = os.environ.get(INSIDE)
    if inside:
        return inside
    done = subprocess.run(
        ["ceph", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    found = re.search(r"\) (\w+) \(", done.stdout)
    return found.group(1) if found else ""
