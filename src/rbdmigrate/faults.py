"""Named points at which a fault test can kill this process; without a fault folder, nothing.

Ceph has the same for its own daemons (``mds_kill_...``). The folder comes from the environment of
the process that started the manager (RBD_MIGRATION_FAULT_DIR), so no remote user can arm a fault.
A file in it named after the point arms it: its text is ``N [DETAIL]``, and the Nth time that the
point is passed (with that detail, if one is given) the process removes the file and kills itself
with SIGKILL. The file is removed first, so that the next process passes.

A file ``<point>.wait``, whose text is the detail or empty, holds the process up at the point until
the test removes it; each process that waits adds a line ``PID DETAIL`` to ``<point>.reached``.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_FOLDER = os.environ.get("RBD_MIGRATION_FAULT_DIR", "")
_passed: dict[str, int] = {}
_lock = threading.Lock()


def fault_switch(name: str) -> bool:
    """Whether a fault test turned something on: there is a file of that name in the folder."""
    return bool(_FOLDER) and os.path.exists(os.path.join(_FOLDER, name))


def fault_point(name: str, detail: str = "") -> None:
    """Wait or die here if a fault test asked for it; ``detail`` narrows that to a state or act."""
    if not _FOLDER:
        return
    path = os.path.join(_FOLDER, name)
    _wait(path, detail)
    try:
        with open(path, encoding="ascii") as file:
            count, _, wanted = file.read().strip().partition(" ")
    except OSError:
        return
    if wanted and wanted != detail:
        return
    with _lock:
        _passed[name] = _passed.get(name, 0) + 1
        if _passed[name] < int(count or "1"):
            return
        try:
            os.remove(path)
        except FileNotFoundError:
            return  # another process was here first: it was meant for one
        os.kill(os.getpid(), signal.SIGKILL)


def _wait(path: str, detail: str) -> None:
    """Wait at a point for as long as a fault test wants it."""
    gate = f"{path}.wait"
    try:
        with open(gate, encoding="ascii") as file:
            wanted = file.read().strip()
    except OSError:
        return
    if wanted and wanted != detail:
        return
    with open(f"{path}.reached", "a", encoding="ascii") as file:
        file.write(f"{os.getpid()} {detail}\n")
    while os.path.exists(gate):
        time.sleep(0.01)
