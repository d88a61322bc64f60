"""Windows: when copies may run, on the wall clock of a time zone. Pure.

A window is a list of spans, separated by commas or semicolons::

    Mon-Fri 20:00-06:00, Sat-Sun     the nights that begin on Monday to Friday, and whole days
    22:00-04:00                      every night

A span belongs to the day that it begins on: ``Fri 20:00-06:00`` ends on Saturday morning. The
comma separates spans, so ``Sat,Sun 10:00-12:00`` is all of Saturday and two hours of Sunday.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from errno import EINVAL
from typing import Optional, Union

from ...model.bounds import MAX_SPANS, MAX_WINDOW
from ...model.errors import MigrationError
from .weekly import (
    DAY_MINUTES,
    EVERY_DAY,
    format_clock,
    format_days,
    instant,
    local_date,
    parse_clock,
    parse_days,
    zone,
)

_FORM = "the form is 'Mon-Fri 20:00-06:00, Sat-Sun' or '22:00-04:00'"
_HORIZON = 15  # days: every span comes once a week, but summer time may leave one out


@dataclass(frozen=True)
class Span:
    """From minute ``start`` of each of ``days`` (0: Monday) to minute ``end`` of the same day.

    ``end`` is past 1440 (midnight) when the span ends on the day after; at most a day in all.
    """

    days: tuple[int, ...]
    start: int
    end: int

    def __str__(self) -> str:
        if self.end - self.start == DAY_MINUTES and self.start == 0:
            return format_days(self.days)
        end = self.end if self.end <= DAY_MINUTES else self.end - DAY_MINUTES
        times = f"{format_clock(self.start)}-{format_clock(end)}"
        return times if self.days == EVERY_DAY else f"{format_days(self.days)} {times}"


@dataclass(frozen=True)
class Window:
    """Open during any of its spans (at least one), on the wall clock of the zone ``tz``.

    ``str()`` is the canonical text, without the zone; it parses to an equal window.
    """

    spans: tuple[Span, ...]
    tz: str = "UTC"

    def __str__(self) -> str:
        return ", ".join(str(span) for span in self.spans)


def parse_window(text: Union[str, Iterable[str]], tz: str = "UTC", what: str = "window") -> Window:
    """The Window of one text, or of several texts as a plan file lists them.

    ``what`` names the option in the error's sentence. Raises MigrationError(EINVAL), naming the
    span that is wrong, also for a zone that this host does not know. At most MAX_SPANS spans and
    MAX_WINDOW characters, because a window is evaluated again and again while copies run.
    """
    zone(tz)
    texts = [text] if isinstance(text, str) else list(text)
    _refuse_long(texts, what)
    pieces = [piece.strip() for one in texts for piece in re.split("[,;]", one) if piece.strip()]
    if not pieces:
        raise MigrationError(EINVAL, f"{what} is empty; {_FORM}.")
    if len(pieces) > MAX_SPANS:
        raise MigrationError(
            EINVAL,
            f"{what} has {len(pieces)} spans, and {MAX_SPANS} is the most; join spans that follow "
            "each other.",
        )
    return Window(tuple(_parse_span(piece, what) for piece in pieces), tz)


def _refuse_long(texts: list[str], what: str) -> None:
    length = sum(len(one) + 1 for one in texts)
    if length > MAX_WINDOW:
        raise MigrationError(
            EINVAL,
            f"{what} has {length} characters, and {MAX_WINDOW} is the most; join spans that follow "
            "each other.",
        )


def _parse_span(piece: str, what: str) -> Span:
    # "20:00 - 06:00" is as good as "20:00-06:00"
    words = re.sub(r"\s*-\s*", "-", piece).split()
    days = parse_days(words[0])
    times = words[1:] if days else words
    if len(times) > 1:
        raise MigrationError(
            EINVAL, f"{what}: {piece!r} is not one span; separate spans by commas, {_FORM}."
        )
    if not times:
        return Span(days or EVERY_DAY, 0, DAY_MINUTES)
    first, dash, last = times[0].partition("-")
    start, end = parse_clock(first), parse_clock(last)
    if not dash or start is None or end is None or start == DAY_MINUTES:
        raise MigrationError(
            EINVAL, f"{what}: {piece!r} is not made of days and times of day; {_FORM}."
        )
    if start == end:
        raise MigrationError(
            EINVAL, f"{what}: {piece!r} ends when it begins; for whole days give the days alone."
        )
    return Span(days or EVERY_DAY, start, end if end > start else end + DAY_MINUTES)


def is_open(window: Window, when: datetime) -> bool:
    """Whether copies may run at ``when``. A span's first moment is in it, its last is not."""
    return any(begin <= when < end for begin, end in _periods(window, when, 2))


def next_opening(window: Window, when: datetime) -> Optional[datetime]:
    """The first time from ``when`` on at which it is open: ``when`` itself if it is open.

    In UTC otherwise. None only if jumps of the clock skip all of it for two weeks.
    """
    for begin, end in _periods(window, when):
        if when < end:
            return max(begin, when)
    return None


def next_closing(window: Window, when: datetime) -> Optional[datetime]:
    """The end of the opening that contains ``when`` (in UTC). None if no opening does, or if the
    window is open all week.
    """
    horizon = when + timedelta(days=_HORIZON - 2)
    for begin, end in _periods(window, when):
        if begin <= when < end:
            return end if end < horizon else None
    return None


def _periods(
    window: Window, when: datetime, days: int = _HORIZON
) -> list[tuple[datetime, datetime]]:
    """The openings around ``when`` and ``days`` on, in order, those that touch joined."""
    today = local_date(when, window.tz)
    found = []
    for offset in range(-2, days):
        day = today + timedelta(days=offset)
        for span in window.spans:
            if day.weekday() in span.days:
                begin, end = (instant(day, m, window.tz) for m in (span.start, span.end))
                if begin < end:
                    found.append((begin, end))
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(found):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
