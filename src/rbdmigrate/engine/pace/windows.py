"""Windows of copies and of cutovers: as texts of records, and as holds outside of them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Optional

from ...control.pace.window import Window, is_open, next_opening, parse_window
from ...model.migration import Hold
from ...model.states import HoldReason


def closed(window: Window, whose: str, now: datetime) -> Optional[Hold]:
    """Why nothing happens while ``window`` is closed, called ``whose``; None while it is open."""
    if is_open(window, now):
        return None
    opening = next_opening(window, now)
    when = "" if opening is None else f"; it opens at {opening:%Y-%m-%d %H:%M} UTC"
    message = f"{whose} ({window}, {window.tz}) is closed{when}."
    return Hold(HoldReason.WINDOW, message, None if opening is None else opening.timestamp())


@lru_cache(maxsize=1024)
def parsed(text: str, tz: str) -> Window:
    """The window of a text on the clock of a time zone. Raises MigrationError."""
    return parse_window(text, tz)
