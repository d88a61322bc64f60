"""Kills the active manager while it asks and tells a hook.

The hook says yes to everything. Each migration has to reach its goal, and the hook has to hear of
all that happened, in its order, under delivery ids that stay the same when a message comes again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Callable

from qa.faults import sweep
from qa.faults.bench import Bench
from qa.faults.cases import Case
from qa.faults.results import Result
from qa.faults.sweep import Fault
from qa.workload.hook_server import YES, HookServer
from rbdmigrate.model.states import State

_VARIANTS = ("warm-hook",)
_CUTOVER = ("before_cutover", "after_cutover")
_FORTH = (*_CUTOVER, "before_commit", "committed")
_BACK = (*_CUTOVER, "aborted")
_DRAIN = 60.0  # seconds for all messages to be taken
_QUICK = "hooks.send.after before_cutover #1"


def cases() -> "list[Case]":
    """Return all faults of migrations whose cutover asks a hook."""
    return [
        Case(f"hook: {fault.name}", _runner(fault), fault.short == _QUICK) for fault in _faults()
    ]


def _faults() -> Iterator[Fault]:
    for begin, events in ((None, _FORTH), (State.CUT_OVER, _BACK)):
        for event in events:
            if event.startswith("before_"):
                yield Fault("hooks.ask", event, 1, begin, _VARIANTS)
            for point in ("hooks.send.before", "hooks.send.after"):
                yield Fault(point, event, 1, begin, _VARIANTS)


def _runner(fault: Fault) -> Callable[[Bench, str], Result]:
    return lambda bench, name: _run(bench, name, fault)


def _run(bench: Bench, name: str, fault: Fault) -> Result:
    heard: list[tuple[str, str]] = []  # event and delivery id

    def say(delivery: str, message: "dict[str, Any]") -> int:
        heard.append((message["event"], delivery))
        return YES

    server = HookServer(bench.cluster, "faults", say)
    try:
        server.register(sorted({*_FORTH, *_BACK}))
        try:
            result = sweep.run(bench, name, fault)
            result.findings += server.drained(_DRAIN) + server.problems
        finally:
            server.unregister()
    finally:
        server.close()
    wanted = (*_CUTOVER, *_BACK) if fault.aborting else _FORTH
    result.findings += misheard(heard, wanted)
    return result


def misheard(heard: "Sequence[tuple[str, str]]", wanted: Sequence[str]) -> "list[str]":
    """What is wrong with the events, given with their delivery ids in the order of their coming."""
    first = dict.fromkeys(delivery for _, delivery in heard)
    events = [next(event for event, each in heard if each == delivery) for delivery in first]
    if sorted(events) != sorted(wanted):
        return [f"the hook was told {events}, not {list(wanted)}"]
    cutovers = [event for event in events if event in _CUTOVER]
    if cutovers != [event for event in wanted if event in _CUTOVER]:
        return [f"the hook was told of cutovers in the order {cutovers}"]
    return []
