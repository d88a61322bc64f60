"""The Report of a migration as JSON text, which is kept until something in it changes.

Most of thousands of migrations rest or wait. Encoding all their Reports for each list would keep
the command thread busy for a second.
"""

from __future__ import annotations

import json
from typing import Union

from ...model.held_time import by_reason
from ...model.migration import Migration
from ..records.tracked import TrackedMigration
from .report import live_hold, render, view

_HELD = '"held_seconds": '  # no text in a Report can contain it: quotes in texts are escaped


def report_texts(item: Union[TrackedMigration, Migration]) -> tuple[str, ...]:
    """The Report of a migration under way, or of one that has ended, in parts: together they are
    what ``json.dumps`` writes.

    What only depends on the time is found out each time: how long it was held, and all of those
    that are acted on, or whose age is shown.
    """
    if isinstance(item, Migration):
        return (json.dumps(render(item)),)
    m = item.migration
    if m.intent is not None or m.rounds is not None:
        return (json.dumps(view(item)),)
    copied = (item.done, item.total, item.copied, item.size, item.copied_by)
    seen = (*copied, item.way_back, live_hold(item))
    kept = item.text
    if kept is None or kept[0] is not m or kept[1] != seen:
        whole = json.dumps({**view(item), "held_seconds": None})
        before, _, after = whole.partition(f"{_HELD}null")
        kept = item.text = (m, seen, before + _HELD, after)
    return (kept[2], _held_text(item), kept[3])


def _held_text(tracked: TrackedMigration) -> str:
    if not tracked.unsaved_holds and not tracked.migration.held:
        return "{}"
    return json.dumps(by_reason(tracked.held_times()))
