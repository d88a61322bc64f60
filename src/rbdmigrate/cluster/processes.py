"""Processes of this host, read from ``/proc``."""

from __future__ import annotations

import os
from typing import Optional

from ..model.migration import ProcessIdentity

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_STARTED = 19  # the field of /proc/PID/stat, counted from the one after the name


def identity_of(pid: int) -> Optional[ProcessIdentity]:
    """The process with the id ``pid`` in our namespace; None when that is not known.

    Without such a process ``started`` is 0.
    """
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            boot_id = file.read().strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
        return ProcessIdentity(boot_id, namespace, _started(pid))
    except (OSError, ValueError, LookupError):
        return None


def _started(pid: int) -> int:
    try:
        os.kill(pid, 0)  # also sees processes that /proc hides from us
    except ProcessLookupError:
        return 0
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[_STARTED])
