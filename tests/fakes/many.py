"""Many migrations at once, and what they cost in each phase of their life (``./run qa simulate``).

All images are prepared; they rest; they are listed; another manager takes over; they are copied and
committed. CPU time includes that of the fakes.
"""

from __future__ import annotations

import gc
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

from rbdmigrate.control.query import Query
from rbdmigrate.model.states import Goal

from .world import World

_MANAGER = re.compile(r"m\d+")  # names of processes
_ROUNDS = 10.0  # simulated seconds in which the migrations rest: about as many rounds of the loop


@dataclass(frozen=True)
class Phase:
    """What a phase cost in all.

    ``seconds``: of the processor. ``operations``: the manager's reads and writes in RADOS, and the
    workers'. ``memory``: bytes that this process has more than before; reused memory counts as 0.
    """

    name: str
    seconds: float
    operations: tuple[int, int, int, int]
    memory: int


class _Meter:
    """Measures phases of a world."""

    def __init__(self, world: World) -> None:
        self._counts: Counter[tuple[bool, bool]] = Counter()
        world.cluster.before.append(self._count)

    def phase(self, name: str, act: Callable[[], object]) -> Phase:
        """Do ``act`` and measure it."""
        gc.collect()
        self._counts.clear()
        before, begun = _resident(), time.process_time()
        act()
        seconds = time.process_time() - begun
        gc.collect()
        kinds = ((True, False), (True, True), (False, False), (False, True))
        operations = tuple(self._counts[kind] for kind in kinds)
        return Phase(name, seconds, operations, max(0, _resident() - before))  # type: ignore[arg-type]

    def _count(self, client: Any, oid: str, write: bool) -> None:
        name = client.process.name
        if name.startswith("worker-") or _MANAGER.fullmatch(name):
            self._counts[not name.startswith("worker-"), write] += 1


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(images: int) -> Iterator[Phase]:
    """The phases with this number of images, each when it has ended."""
    with World() as world:
        world.simulation.most_steps *= images
        world.set(max_steps=8, command_wait=0.0)
        for number in range(images):
            world.create_image(f"hdd/vm-{number}", {0: b"one"})
        meter = _Meter(world)
        yield meter.phase("begin all", lambda: _begin(world, images))
        yield meter.phase("prepare all", lambda: _wait(world, images, "prepared"))
        yield meter.phase(f"rest for {_ROUNDS:.0f} s", lambda: world.run(_ROUNDS))
        for name, ask in _LISTS.items():
            yield meter.phase(name, lambda ask=ask: world.call(lambda: ask(world)))  # type: ignore[misc]
        yield meter.phase("failover", world.failover)
        yield meter.phase("look at all again", lambda: world.run(5.0))
        yield meter.phase("copy and commit all", lambda: _finish(world, images))


_LISTS: dict[str, Callable[[World], object]] = {
    "a page of 50": lambda world: world.engine.listing.browse(Query(limit=50)),
    "summary": lambda world: world.engine.listing.summary(),
    "ls as JSON": lambda world: world.engine.listing.find(Query(limit=0)).json(),
    "ls as JSON again": lambda world: world.engine.listing.find(Query(limit=0)).json(),
}


def _begin(world: World, images: int) -> None:
    for number in range(images):
        world.prepare(f"hdd/vm-{number}", f"nvme/vm-{number}", goal=Goal.PREPARED)


def _finish(world: World, images: int) -> None:
    for number in range(images):
        world.do("execute", f"nvme/vm-{number}")
    _wait(world, images, "executed")
    for number in range(images):
        world.do("commit", f"nvme/vm-{number}")
    _until(world, images, lambda summary: not summary["total"])


def _wait(world: World, images: int, state: str) -> None:
    _until(world, images, lambda summary: summary["counts"].get(state, 0) == images)


def _until(world: World, images: int, reached: Callable[[Any], bool]) -> None:
    """Wait. The totals of many images are not asked for so often that they count."""
    while not reached(world.engine.listing.summary()):
        world.run(max(1.0, images / 1000))
