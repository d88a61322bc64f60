"""A plan as every front end shows it: plain data, documented in ``doc/reference/json.rst``."""

from __future__ import annotations

import functools
import time
from typing import Any, NamedTuple, Optional

from ...control.objects.copy_cost import eta
from ...control.pace.timetable import format_rate
from ...control.plans.progress import shown_state, time_left
from ...control.plans.waves import UNBEGUN, Phase, counts, next_step, waves
from ...model.client_warnings import warnings_for_plan
from ...model.plan import MAX_ITEMS, Definition, Outcome, PlanState
from ...model.report import Live, iso, percent
from ...model.request import default_method
from ...model.source_list import SourceList
from ...model.source_spec import parse_source_spec
from ...model.states import ActKind, Method
from ..records.tracked import TrackedMigration
from ..records.tracked_plan import TrackedPlan

_PROBLEMS = 20  # sentences


def plan_report(kept: TrackedPlan, *, items: bool) -> dict[str, Any]:
    """The report of a plan; ``items``: with each of its images."""
    plan, definition = kept.plan, kept.plan.definition
    phases = kept.phases()
    figures = [_figures(kept, number, phase) for number, phase in enumerate(phases)]
    total = sum(figure.total or 0 for figure in figures)
    copied = sum(figure.copied for figure in figures)
    copying = [t for t in list(kept.live.values()) if _copies(t)]
    rate = sum(t.throughput.rate or 0.0 for t in copying)
    if plan.state is PlanState.PAUSED:
        rate = 0.0  # what was measured before the pause
    step = next_step(phases, definition.wave, 0, 0, kept.postponed()) if phases else None
    left = eta(total, copied, rate) if rate else None
    all_left = time_left(phases, [figure.total for figure in figures], copied, rate)
    report: dict[str, Any] = {
        "name": plan.name,
        "state": shown_state(plan, phases),
        "goal": definition.policy.goal.value,
        "method": "auto" if definition.auto else (definition.method or Method.LIVE).value,
        "verify": definition.policy.verify.value,
        "priority": definition.policy.priority,
        "rate_limit": definition.rate,
        "max_copies": definition.max_copies,
        "window": definition.policy.window or None,
        "wave": step.wave if step is not None else 0,
        "waves": waves(len(phases), definition.wave),
        "wave_size": definition.wave,
        "stop_after_failures": definition.stop_after,
        "wait_seconds": None if definition.wait is None else int(definition.wait),
        "total": len(phases),
        "counts": counts(phases),
        "percent": sum(f.percent for f in figures) // len(figures) if figures else 0,
        "bytes_total": total,
        "bytes_copied": copied,
        "rate": int(rate),
        "eta_seconds": None if left is None else int(left),
        "eta_total_seconds": None if all_left is None else int(all_left),
        "seconds": _duration(kept),
        "problems": _problems(kept, phases),
        "created": iso(plan.created),
        "started": iso(plan.started),
        "ended": iso(plan.ended),
        "next": _next(kept),
        "warnings": [warning.to_plain() for warning in warnings_for_plan(plan.state)],
        "selects": [
            *(_selector(definition, number) for number in range(len(definition.select))),
            *(_listed(given) for given in definition.lists),
        ],
        "pools": sorted({pool for pool, _ in definition.places()}),
    }
    if items:
        rows = zip(range(len(phases)), phases, figures)
        report["items"] = [_item(kept, *row) for row in rows]
        report["timeline"] = [
            {"at": iso(e.at), "state": e.state.value, "message": e.message, "by": e.by or None}
            for e in plan.timeline
        ]
    return report


def _duration(kept: TrackedPlan) -> Optional[int]:
    """Seconds since it was started, until it ended; None before."""
    plan = kept.plan
    if plan.started is None:
        return None
    end = time.time() if plan.ended is None else plan.ended
    return max(0, int(end - plan.started))


class _Figures(NamedTuple):
    """Of one image; small, for one is made for each of thousands at every look."""

    percent: int
    total: Optional[int]
    copied: int


_NOTHING = _Figures(0, None, 0)


def _figures(kept: TrackedPlan, number: int, phase: Phase) -> _Figures:
    item, tracked = kept.items[number], kept.live.get(number)
    if phase is Phase.DONE:
        return _Figures(100, item.bytes, item.bytes)
    if tracked is None or item.outcome is not Outcome.OPEN:
        return _NOTHING
    m = tracked.migration
    share = percent(m, Live(copied=tracked.copied, size=tracked.size))
    return _Figures(share, tracked.size or m.bytes_total, max(tracked.copied, m.bytes_copied))


def _item(kept: TrackedPlan, number: int, phase: Phase, figures: _Figures) -> dict[str, Any]:
    item, tracked = kept.items[number], kept.live.get(number)
    under_way = item.outcome is Outcome.OPEN and tracked is not None
    return {
        "source": str(item.source),
        "target": str(item.target),
        "method": _method(kept, number),
        "migration": item.ident,
        "wave": number // kept.plan.definition.wave + 1,
        "phase": phase.value,
        "postponed": item.postponed and phase in UNBEGUN,
        "state": tracked.migration.state.value if under_way and tracked is not None else None,
        "percent": figures.percent,
        "bytes_total": figures.total,
        "bytes_copied": figures.copied,
        "message": _message(kept, number),
    }


def _method(kept: TrackedPlan, number: int) -> str:
    """The method of an item's migration, or what it will be."""
    item, tracked, definition = kept.items[number], kept.live.get(number), kept.plan.definition
    if tracked is not None:
        return tracked.migration.method.value
    asked = definition.method_of(item)
    if asked is None and definition.auto and not item.source_spec:
        return "auto"
    return (asked or _default_method(item.source_spec)).value


@functools.lru_cache(maxsize=MAX_ITEMS)
def _default_method(source_spec: str) -> Method:
    return default_method(parse_source_spec(source_spec) if source_spec else None)


def _message(kept: TrackedPlan, number: int) -> str:
    """Why an item failed, was cancelled or waits."""
    item, tracked, wait = kept.items[number], kept.live.get(number), kept.waits.get(number)
    if item.outcome is not Outcome.OPEN:
        return item.message
    if wait is not None and wait.message:
        return wait.message
    failure = tracked.migration.failure if tracked is not None else None
    return failure.message if failure is not None else item.message


def _copies(tracked: TrackedMigration) -> bool:
    intent = tracked.migration.intent
    return intent is not None and intent.act is ActKind.EXECUTE


def _problems(kept: TrackedPlan, phases: list[Phase]) -> list[str]:
    """What somebody should look at, a sentence each."""
    found = [text for text in (kept.plan.problem, kept.trouble) if text]
    for wanted in (Phase.FAILED, Phase.WAITING):
        for number, phase in enumerate(phases):
            if len(found) >= _PROBLEMS:
                return found
            message = _message(kept, number) if phase is wanted else ""
            if message:
                item = kept.items[number]
                found.append(f"{item.source} -> {item.target}: {message}")
    return found


def _next(kept: TrackedPlan) -> str:
    """One sentence: what happens next by itself, or what the administrator has to do."""
    name = kept.plan.name
    command = "`ceph rbd migration plan"
    texts = {
        PlanState.DRAFT: f"Nothing has begun: {command} check {name}` looks at its images, "
        f"{command} start {name}` begins.",
        PlanState.STARTING: "Its images are being chosen.",
        PlanState.RUNNING: "It goes on by itself, wave by wave.",
        PlanState.PAUSED: f"It is paused: {command} resume {name}` lets it go on.",
        PlanState.STOPPED: f"It stopped after too many failures and begins no more: remove the "
        f"causes, `ceph rbd migration retry --plan {name}` tries the failed again, {command} "
        f"resume {name}` goes on without them.",
        PlanState.CANCELLING: "Its migrations are being aborted.",
        PlanState.DONE: "",
        PlanState.CANCELLED: "",
    }
    if kept.plan.state is PlanState.DONE and kept.failures():
        return (
            f"`ceph rbd migration retry --plan {name}` tries those again that failed, "
            f"{command} rm {name}` forgets the plan."
        )
    return texts[kept.plan.state]


def _listed(given: SourceList) -> str:
    """What is taken of a list, for people."""
    if given.manifest:
        return f"what {given.label} names"
    words = [f"{given.name} of {given.label}"]
    return ", ".join(words + [f"not {pattern}" for pattern in given.exclude])


def _selector(definition: Definition, number: int) -> str:
    """What a selector picks, for people."""
    selector = definition.select[number]
    place = "/".join(part for part in (selector.pool, selector.namespace) if part)
    words = [f"{place}/{selector.regex or selector.name}"]
    words += [f"not {pattern}" for pattern in selector.exclude]
    if selector.smallest is not None:
        words.append(f"size >= {format_rate(selector.smallest)}")
    if selector.largest is not None:
        words.append(f"size <= {format_rate(selector.largest)}")
    if selector.label:
        words.append(f"{selector.label}={selector.value}")
    return ", ".join(words)
