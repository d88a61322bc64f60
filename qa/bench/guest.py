"""The pauses of a running guest whose disk an agent moves again and again."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from qa.bench import stock
from qa.bench.result import Figure, Result, Row
from qa.bench.rig import SOURCE, Rig
from qa.guest import AgentProcess, GuestOptions, Machine, RbdDisk
from qa.workload.images import MIB
from qa.workload.module_options import module_options

_LIFETIME = 1200  # seconds
_SIZE = 256 * MIB


@dataclass(frozen=True)
class _Case:
    """``most``: the longest median, in seconds. ``writes`` of ``block`` bytes in a second."""

    what: str
    method: str
    most: float
    snapshots: int = 0
    writes: int = 100
    block: int = 4096


_CASES = (
    _Case("warm", "warm", 0.2),
    _Case("warm, the guest writes 20 MB/s", "warm", 1.0, writes=320, block=65536),
    _Case("live", "live", 0.5),
    _Case("live, 3 snapshots", "live", 1.0, snapshots=3),
)


def run(rig: Rig) -> Result:
    """Measure what the agent reports, which is what the guest's clock misses."""
    result = Result("the pause of a running guest")
    with module_options(rig.cluster, agent_interval="1"):
        for case in _CASES:
            row = Row(f"{case.what}: the pause", tuple(_pauses(rig, case)))
            rig.said(f"{row.what}: {row.median:.2f} s, at most {max(row.samples):.2f} s")
            result.rows.append(row)
            result.figures.append(Figure(f"pause, {case.what}", row.median, "s", most=case.most))
    result.notes.append("Every cutover is in place, with another object size.")
    return result


def _pauses(rig: Rig, case: _Case) -> "list[float]":
    disk = f"{SOURCE}/guest"
    rig.image(disk, _SIZE, 0)
    for number in range(case.snapshots):
        stock.rbd(rig, "snap", "create", "--no-progress", f"{disk}@s{number}")
    options = GuestOptions(
        (RbdDisk(SOURCE, "guest"),), writes=case.writes, block=case.block, lifetime=_LIFETIME
    )
    cluster = rig.cluster
    mark = str(cluster.layout.root)
    with tempfile.TemporaryDirectory(prefix="rbd-migration-guest-") as name:
        folder = Path(name)
        with (
            Machine(folder, cluster.conf, options, env=cluster.env, mark=mark) as machine,
            AgentProcess(cluster, folder, "host3", lifetime=_LIFETIME),
        ):
            found = [_move(rig, disk, case, n) for n in range(2 if rig.quick else 20)]
            for report in machine.reports().values():
                assert report.clean, machine.complaints()
    for number in range(case.snapshots):
        stock.rbd(rig, "snap", "rm", "--no-progress", f"{disk}@s{number}")
    rig.remove([disk])
    return found


def _move(rig: Rig, disk: str, case: _Case, number: int) -> float:
    """Move it; the pause in seconds."""
    rig.ask(
        "run",
        source_image=disk,
        method=case.method,
        object_size="1M" if number % 2 else "4M",
        verify="none",
        cutover="agent",
        max_pause="60s",
        force=True,
    )
    report = rig.wait(disk, "committed")
    return float(report["cutover"]["pause_seconds"])
