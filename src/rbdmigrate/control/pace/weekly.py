"""Days and times of the week in a time zone, for timetables and windows.

Days are numbered as Python's ``weekday()`` does, Monday is 0; times of day are minutes since
midnight. One rule for summer time: every wall time of a day happens exactly once. A time that the
clock shows twice happens the first time; a time that the clock jumps over happens at the jump.
Pure: ``when`` is always passed in, and is an aware datetime.
"""

from __future__ import annotations

import functools
import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from errno import EINVAL
from typing import Optional
from zoneinfo import ZoneInfo

from ...model.errors import MigrationError

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = tuple(range(7))
DAY_MINUTES = 24 * 60

_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_SECOND = timedelta(seconds=1)


def parse_days(text: str) -> Optional[tuple[int, ...]]:
    """The days of ``Sat``, ``Mon-Fri`` or ``Sat-Mon`` (in that order); None for anything else."""
    ends = [_parse_day(part) for part in text.split("-")]
    if len(ends) > 2 or ends[0] is None or ends[-1] is None:
        return None
    return tuple((ends[0] + n) % 7 for n in range((ends[-1] - ends[0]) % 7 + 1))


def _parse_day(text: str) -> Optional[int]:
    name = text.lower()
    for number, full in enumerate(_FULL_NAMES):
        if name in (full, full[:3]):
            return number
    return None


def format_days(days: tuple[int, ...]) -> str:
    """The inverse of :func:`parse_days` for days that follow each other."""
    first, last = DAY_NAMES[days[0]], DAY_NAMES[days[-1]]
    return first if len(days) == 1 else f"{first}-{last}"


def parse_clock(text: str) -> Optional[int]:
    """Minutes since midnight of ``HH:MM``, up to ``24:00``; None for anything else."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hours, minutes = int(match.group(1)), int(match.group(2))
    total = hours * 60 + minutes
    return total if minutes < 60 and total <= DAY_MINUTES else None


def format_clock(minute: int) -> str:
    """``HH:MM`` of minutes since midnight."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


@functools.lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. MigrationError(EINVAL) when this host does not know it.

    ``UTC`` is always known; other zones need the host's time zone data (package ``tzdata``).
    """
    if name.upper() == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise MigrationError(
            EINVAL,
            f"The time zone {name!r} is not known on this host; give UTC or a name such as "
            "Europe/Berlin, and see that the package tzdata is installed.",
        ) from error


def local_date(when: datetime, tz: str) -> date:
    """The date that a wall clock in ``tz`` shows at ``when``."""
    if when.tzinfo is None:
        raise ValueError("a time without a time zone")
    return when.astimezone(zone(tz)).date()


def instant(day: date, minute: int, tz: str) -> datetime:
    """The time at ``minute`` (may be a day or more) of ``day`` in ``tz``, in UTC to be comparable.

    Never goes back as ``day`` and ``minute`` go forward.
    """
    moved = day + timedelta(days=minute // DAY_MINUTES)
    clock = time(minute % DAY_MINUTES // 60, minute % 60)
    wall = datetime.combine(moved, clock, zone(tz))
    first, second = (wall.replace(fold=fold).astimezone(timezone.utc) for fold in (0, 1))
    # In a jump forward fold=0 counts by the old offset and comes out as the later of the two.
    return first if first <= second else _jump(second, first, zone(tz))


def _jump(before: datetime, after: datetime, tz: tzinfo) -> datetime:
    """The time between two times, to the second, at which the offset from UTC changes."""
    old = before.astimezone(tz).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(tz).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
