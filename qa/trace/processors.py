"""CPU time of the manager, its workers and the OSDs during a block."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qa.devcluster import Cluster

_STAT = Path("/proc")


@contextmanager
def measured(cluster: Cluster, manager: int) -> "Iterator[dict[str, float]]":
    """Yield a dict that has the core-seconds of each kind of process at the end of the block.

    Those of workers that ended meanwhile count too: the manager has waited for them.
    """
    osds = [
        process.pid
        for number in cluster.blueprint.osds
        if (process := cluster.daemons.find(f"osd.{number}")) is not None
    ]
    used: dict[str, float] = {}
    before = _sums(manager, osds)
    try:
        yield used
    finally:
        after = _sums(manager, osds)
        used.update({who: after[who] - before[who] for who in after})


def _sums(manager: int, osds: "list[int]") -> "dict[str, float]":
    own, ended = _seconds(manager)
    workers = sum(_seconds(pid)[0] for pid in _children(manager))
    return {
        "manager": own,
        "workers": ended + workers,
        "OSDs": sum(_seconds(pid)[0] for pid in osds),
    }


def _seconds(pid: int) -> "tuple[float, float]":
    """CPU seconds of a process, and of its children that it has waited for; 0 once it ended."""
    try:
        text = (_STAT / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0.0, 0.0
    fields = [int(field) for field in text.rpartition(")")[2].split()[11:15]]
    ticks = os.sysconf("SC_CLK_TCK")
    return (fields[0] + fields[1]) / ticks, (fields[2] + fields[3]) / ticks


def _children(pid: int) -> "list[int]":
    found = []
    for task in (_STAT / str(pid) / "task").iterdir():
        try:
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
        except OSError:
            continue
    return found
