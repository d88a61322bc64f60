"""The time from the death of a manager during a copy until the copy continues and clients write."""

import time
from typing import Any

from qa.bench.copies import arrived, discard, prepared
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.faults.managers import start_dead
from qa.workload.images import MIB
from qa.workload.writer import writing

_RATE = "10M"
_OBJECT = MIB
_BEAT = 0.05  # seconds between two polls


def run(rig: Rig) -> Result:
    """Kill the active manager, and with it its workers, with SIGKILL; a standby is running."""
    result = Result("a manager is killed while a copy runs, and a standby takes over")
    copied: dict[str, list[float]] = {
        "a standby is active": [],
        "the copy goes on": [],
        "the copy goes on, after the standby was active": [],
    }
    client: dict[str, list[float]] = {"a client that opens the target then has written": []}
    for _ in range(rig.repeat):
        active, again = _until_copied(rig)
        for samples, seconds in zip(copied.values(), (active, again, again - active)):
            samples.append(seconds)
        client["a client that opens the target then has written"].append(_until_written(rig))
    medians = result.add({**copied, **client})
    last = list(copied)[-1]
    result.figures.append(Figure(last, medians[last], "s", most=10.0))
    result.notes.append(
        "The monitors give a silent manager up after 5 s here (mon_mgr_beacon_grace; Ceph's own "
        "default is 30 s)."
    )
    return result


def _copying(rig: Rig) -> str:
    """Start a copy that has copied some objects and goes on for minutes."""
    target = prepared(rig, 1024 * MIB, 512 * MIB, object_size=_OBJECT)
    rig.ask("set", target_image=target, rate=_RATE)
    before = arrived(rig)
    rig.ask("execute", target_image=target)
    rig.until(lambda: arrived(rig) > before + 5, "the copy to run")
    return target


def _until_copied(rig: Rig) -> "tuple[float, float]":
    """Return the seconds from the kill to an active standby, and to the next copied objects."""
    target = _copying(rig)
    former = _active(rig)
    rig.cluster.mgr_kill()
    begin = time.monotonic()
    rig.until(lambda: _active(rig) not in (former, 0), "a standby", _BEAT)
    active = time.monotonic() - begin
    before = arrived(rig)
    rig.until(lambda: arrived(rig) > before, "the copy to go on", _BEAT)
    again = time.monotonic() - begin
    _restore(rig, target)
    return active, again


def _until_written(rig: Rig) -> float:
    """Return the seconds from the kill until a client that opens the target has written to it."""
    target = _copying(rig)
    rig.cluster.mgr_kill()
    begin = time.monotonic()
    with writing(rig.cluster, target) as writer:
        seconds = time.monotonic() - begin
        writer.stop()
    _restore(rig, target)
    return seconds


def _restore(rig: Rig, target: str) -> None:
    start_dead(rig.cluster)
    rig.cluster.wait_mgrs()
    discard(rig, target)


def _active(rig: Rig) -> int:
    """Return the id of the active manager that is ready; 0 while there is none."""
    dump: dict[str, Any] = rig.cluster.mon_command("mgr dump")
    return int(dump["active_gid"]) if dump["available"] else 0
