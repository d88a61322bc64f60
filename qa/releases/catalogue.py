"""Which release of Ceph comes with which Debian, and which one this process uses."""

import functools
import os
import re
import subprocess
from dataclasses import dataclass

#: Set inside a chroot to its release.
INSIDE = "RBD_MIGRATION_RELEASE"

#: The folder of a running cluster for the tests of imports from another cluster.
SOURCE_CLUSTER = "RBD_MIGRATION_SOURCE_CLUSTER"

#: Where a root has the Python packages that its manager needs before its Debian's own.
MANAGER_PYTHON = "/opt/ceph-mgr-python"


@dataclass(frozen=True)
class Release:
    """A release of Ceph. ``suite`` is the Debian that has it.

    ``python`` are packages of the Python Package Index that stand before the Debian's own on the
    manager's module path.
    """

    name: str
    major: int
    suite: str
    python: "tuple[str, ...]" = ()


KNOWN = {
    release.name: release
    for release in (
        Release("pacific", 16, "bookworm"),
        # Trixie's bcrypt is of a kind that loads in one sub-interpreter only; the manager has many,
        # and without bcrypt no module of Ceph's loads.
        Release("reef", 18, "trixie", ("bcrypt==3.2.2",)),
        Release("tentacle", 20, "forky"),
    )
}


@functools.lru_cache(maxsize=1)
def here() -> str:
    """Return the name of the release that is installed where this process runs."""
    inside = os.environ.get(INSIDE)
    if inside:
        return inside
    done = subprocess.run(
        ["ceph", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    found = re.search(r"\) (\w+) \(", done.stdout)
    return found.group(1) if found else ""
