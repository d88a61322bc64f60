"""The cost of thousands of records: rounds of the loop, listings, the manager's memory.

The records are written into the store while the module is disabled. All of them move one existing
image to free names. Half of them wait for a slot that they never get, half are paused. So each is
observed like any other migration, but nothing is prepared.
"""

import contextlib
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import rados

from qa.bench.result import Figure, Result
from qa.bench.rig import TARGET, Rig
from qa.bench.rounds import timed
from qa.devcluster.modules import MODULE
from qa.workload.images import MIB, opened, place, split
from rbdmigrate.cluster.store import OBJECT
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.migration_codec import encode
from rbdmigrate.model.states import Goal, State

_PAGE = 500  # records in one write
_ROUND = re.compile(r"a round: (\d+) migrations, (\d+) busy, (\d+) waiting, ([0-9.]+) ms")
_LISTINGS = 5


def run(rig: Rig) -> Result:
    """Measure 10, 1,000 and 10,000 records, each with a freshly started manager."""
    counts, seconds = ((10, 100), 3.0) if rig.quick else ((10, 1000, 10_000), 20.0)
    source, _ = rig.pair()
    rig.image(source, 4 * MIB, 4 * MIB)
    rig.ask("limit set", max_steps=0)
    result = Result("the manager with many records")
    ticks, memory, listed = {}, {}, {}
    try:
        for count in counts:
            marks = _restart_with(rig, list(_records(rig, source, count)))
            first = _first_pass(rig, marks)
            ticks[count] = _rounds(rig, marks, seconds)
            memory[count] = _memory(rig)
            listings = [timed(lambda: rig.ask("ls")) for _ in range(_LISTINGS)]
            listed[count] = _memory(rig)
            name = f"{count:,} records: "
            result.add({"a round": ticks[count]}, "ms", name)
            result.add({"ls": [1000 * each for each in listings]}, "ms", name)
            result.add({"all looked at after": [first]}, "s", name)
            result.add({"memory of the manager": [memory[count]]}, "MiB", name)
            result.add({f"the same after {_LISTINGS} ls": [listed[count]]}, "MiB", name)
    finally:
        _restart_with(rig, [])
        rig.ask("limit set", max_steps=2)
        rig.remove([source])
    most, fewest = max(counts), min(counts)
    tick = statistics.median(ticks[most])
    beyond = f"memory with {most:,} records, beyond that with {fewest}"
    more, after = (found[most] - found[fewest] for found in (memory, listed))
    result.figures += [
        Figure(f"a round with {most:,} records", tick, "ms", most=100.0),
        Figure(beyond, more, "MiB", most=60.0),
        Figure(f"the same after {_LISTINGS} ls of all as JSON", after, "MiB", most=60.0),
    ]
    return result


def _records(rig: Rig, source: str, count: int) -> Iterator[Migration]:
    pool, _, image = split(source)
    with opened(rig.client, source) as handle:
        ident = str(handle.id())
    begin = Place(pool, "", image, rig.client.pool_lookup(pool), ident)
    target = rig.client.pool_lookup(TARGET)
    for number in range(count):
        now = time.time() - count + number
        queued = Migration(
            id=f"{number:012x}",
            source=begin,
            target=Place(TARGET, "", f"copy-of-disk-{number:05}", target),
            goal=Goal.COMMITTED,
            state=State.QUEUED,
            created=now,
            paused=number % 2 == 0,
        )
        yield queued.enter(State.QUEUED, now, "asked for")


def _restart_with(rig: Rig, records: "Sequence[Migration]") -> "dict[str, int]":
    """Restart the managers with these records alone, and the log level that :func:`_log` needs.

    Returns the size of each manager's log before that, in bytes.
    """
    rig.cluster.ceph("mgr", "module", "disable", MODULE)
    rig.cluster.wait_active()
    marks = {name: rig.cluster.mgr_log(name).stat().st_size for name in rig.cluster.mgrs()}
    with place(rig.client, f"{TARGET}/-") as ioctx:
        with contextlib.suppress(rados.ObjectNotFound):
            ioctx.remove_object(OBJECT)
        for start in range(0, len(records), _PAGE):
            page = records[start : start + _PAGE]
            with rados.WriteOpCtx() as op:
                keys = tuple(f"migration.{record.id}" for record in page)
                ioctx.set_omap(op, keys, tuple(encode(record) for record in page))
                ioctx.operate_write_op(op, OBJECT)
    rig.cluster.ceph("mgr", "module", "enable", MODULE, "--force")
    rig.cluster.wait_active()
    level = "debug" if records else "info"
    rig.cluster.ceph("config", "set", "mgr", f"mgr/{MODULE}/log_level", level)
    return marks


def _first_pass(rig: Rig, marks: "dict[str, int]") -> float:
    """Return the seconds from the manager's first answer until all records were observed once."""

    def done() -> bool:
        rounds = _log(rig, marks)
        return bool(rounds) and rounds[-1][1] == 0

    return timed(lambda: rig.until(done, "the first look at all records", 0.5))


def _rounds(rig: Rig, marks: "dict[str, int]", seconds: float) -> "list[float]":
    """Return the milliseconds of each round of the loop in ``seconds``."""
    before = len(_log(rig, marks))
    time.sleep(seconds)
    return [taken for _, _, taken in _log(rig, marks)[before:]]


def _log(rig: Rig, marks: "dict[str, int]") -> "list[tuple[int, int, float]]":
    """Return migrations, those busy or due, and milliseconds of each round logged since."""
    name = _active(rig)
    with rig.cluster.mgr_log(name).open("rb") as file:
        file.seek(marks[name])
        text = file.read().decode(errors="replace")
    return [(int(m[1]), int(m[2]), float(m[4])) for m in _ROUND.finditer(text)]


def _active(rig: Rig) -> str:
    name = rig.cluster.active_mgr()
    assert name is not None
    return name


def _memory(rig: Rig) -> float:
    """Return the resident memory of the active manager's process, in MiB."""
    pid = rig.cluster.mgr_pid(_active(rig))
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024
