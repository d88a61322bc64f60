"""The latency of a client's writes without and during a copy."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from qa.bench import client, stock
from qa.bench.copies import at_once, discard, prepared
from qa.bench.result import Figure, Result, Row
from qa.bench.rig import Rig
from qa.workload.images import MIB

_FACTOR = 1.5  # of the guard
_MEASURES = {"p50": 0.5, "p99": 0.99, "max": 1.0}
_Taken = tuple[list[float], list[float], float]  # latencies before and during a copy, its seconds


@dataclass(frozen=True)
class _Way:
    """A way to copy. ``copy`` starts the copy of a prepared target and waits for its end."""

    copy: "Callable[[Rig, str], None]"
    setting: "Callable[[Rig], contextlib.AbstractContextManager[None]]"
    seconds: float  # seconds for which the copy is measured at most
    quiet: float = 8.0  # seconds without a copy before


def run(rig: Rig) -> Result:
    """Measure a client before and during a copy, for each way to copy."""
    size = 64 * MIB if rig.quick else 1536 * MIB
    ways = {
        "rbd migration execute": _Way(stock.execute, _as_it_is, 20),
        "ours": _Way(_ours, _as_it_is, 20),
        "ours at 20 MiB/s": _Way(_ours, _capped, 20),
        f"ours, guard {_FACTOR:g}": _Way(_ours, _guarded, 60, 25),
    }
    if rig.quick:
        ways = {name: _Way(way.copy, way.setting, 3, 3) for name, way in ways.items()}
    taken: dict[str, list[_Taken]] = {name: [] for name in ways}
    for _ in range(rig.repeat):
        for name, way in ways.items():
            taken[name].append(_measure(rig, way, size))
            quiet, copying, _seconds = taken[name][-1]
            p99 = [client.percentile(each, 0.99) for each in (quiet, copying)]
            rig.said(f"{name}: p99 {p99[0]:.1f} ms before, {p99[1]:.1f} ms during the copy")
    return _result(taken)


def _result(taken: "dict[str, list[_Taken]]") -> Result:
    result = Result(f"milliseconds of a client's 4 KiB writes, {client.RATE} a second wanted")
    quiet = [latencies for runs in taken.values() for latencies, _, _ in runs]
    copying = {name: [latencies for _, latencies, _ in runs] for name, runs in taken.items()}
    for name, spans in {"no copy": quiet, **copying}.items():
        for measure, part in _MEASURES.items():
            samples = tuple(client.percentile(latencies, part) for latencies in spans)
            result.rows.append(Row(f"{name}: {measure}", samples, "ms"))
    base = statistics.median(client.percentile(latencies, 0.99) for latencies in quiet)
    for name, runs in taken.items():
        p99 = statistics.median(client.percentile(during, 0.99) for _, during, _ in runs)
        most = _FACTOR if "guard" in name else None
        result.figures.append(Figure(f"p99, {name} : no copy", p99 / base, most=most))
        made = statistics.median(len(during) / seconds for _, during, seconds in runs)
        result.figures.append(Figure(f"writes made, {name}", made, "per second"))
    result.notes.append("No copy: the quiet time before each of the copies, all of them together.")
    return result


def _measure(rig: Rig, way: _Way, size: int) -> _Taken:
    """Return the latencies before and during the copy, and the seconds of measuring the copy."""
    target = prepared(rig, size)
    with way.setting(rig), at_once(rig, 1), client.running(rig, way.quiet + way.seconds) as fio:
        start = time.time()
        time.sleep(way.quiet)
        begin = time.time()
        thread = threading.Thread(target=way.copy, args=(rig, target), daemon=True)
        thread.start()
        thread.join(way.seconds)
        end = time.time()
        fio.end()
        result = fio.between(start, begin), fio.between(begin, end), end - begin
    thread.join()  # from now on without a limit
    discard(rig, target)
    return result


def _ours(rig: Rig, target: str) -> None:
    rig.ask("execute", target_image=target)
    rig.until(lambda: rig.status(target)["state"] == "executed", "the end of the copy", 0.1)


@contextlib.contextmanager
def _as_it_is(rig: Rig) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _capped(rig: Rig) -> Iterator[None]:
    rig.ask("throttle set", rate="20M")
    try:
        yield
    finally:
        rig.ask("throttle clear")


@contextlib.contextmanager
def _guarded(rig: Rig) -> Iterator[None]:
    rig.ask("throttle set", guard=str(_FACTOR))
    try:
        yield
    finally:
        rig.ask("throttle set", guard="off")
