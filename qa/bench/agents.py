"""What agents that only report cost the manager."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import rados

from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from rbdmigrate.model import agent_messages as messages
from rbdmigrate.model.spec import ImageSpec

_INTERVAL = 30.0  # seconds, the default of the option agent_interval
_GUESTS, _DISKS = 20, 2  # of each host
_THREADS = 4
_PREFIX = "rbd migration agent poll"


def run(rig: Rig) -> Result:
    """Measure the manager's CPU time with 200 agents, beyond that without any."""
    hosts, seconds = (20, 6.0) if rig.quick else (200, 90.0)
    result = Result(f"{hosts} agents that report {_GUESTS} guests each")
    interval = min(_INTERVAL, seconds)
    idle = _share(rig, seconds)
    with _polling(rig, hosts, interval):
        time.sleep(1.5 * interval)  # all are known then
        busy = _share(rig, seconds)
    result.add({"no agent": [idle], f"{hosts} agents": [busy]}, "% of a core")
    result.figures.append(Figure("more for the agents", busy - idle, "% of a core", most=5.0))
    for host in range(hosts):
        rig.ask("agent rm", host=f"bench-{host}")
    return result


def _share(rig: Rig, seconds: float) -> float:
    """Percent of a core that the active manager uses."""
    name = rig.cluster.active_mgr()
    assert name is not None
    pid = rig.cluster.mgr_pid(name)
    before, at = _ticks(pid), time.monotonic()
    time.sleep(seconds)
    used = (_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    return 100 * used / (time.monotonic() - at)


def _ticks(pid: int) -> int:
    """CPU time of a process and its threads, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def _polling(rig: Rig, hosts: int, interval: float) -> Iterator[None]:
    """Have so many agents report, evenly spread over the interval, until the block ends."""
    over = threading.Event()
    with ExitStack() as stack:
        stack.callback(over.set)
        for number in range(_THREADS):
            client = stack.enter_context(rig.cluster.connect(timeout=60))
            mine = range(number, hosts, _THREADS)
            pause = interval / len(mine)
            thread = threading.Thread(target=_report, args=(client, mine, pause, over), daemon=True)
            stack.callback(thread.join, 60.0)
            stack.callback(over.set)
            thread.start()
        yield


def _report(client: rados.Rados, hosts: range, pause: float, over: threading.Event) -> None:
    while True:
        for host in hosts:
            begun = time.monotonic()
            command = f'{{"prefix": "{_PREFIX}", "host": "bench-{host}", "format": "plain"}}'
            code, _, said = client.mgr_command(command, _inventory(host))
            assert code == 0, said
            if over.wait(max(0.0, pause - (time.monotonic() - begun))):
                return


def _inventory(host: int) -> bytes:
    guests = tuple(
        messages.OpenGuest(
            f"web-{number}",
            f"{host:08}-0000-0000-0000-{number:012}",
            "running",
            tuple(
                messages.OpenDisk(ImageSpec("hdd", "", f"vm-{host}-{number}-{disk}"), f"/vd{disk}")
                for disk in range(_DISKS)
            ),
        )
        for number in range(_GUESTS)
    )
    return messages.encode(messages.Inventory("0.1.0", guests)).encode()
