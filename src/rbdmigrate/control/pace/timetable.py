"""The weekly timetable of a throttle: which rate is in force at a given time. Pure.

A timetable is a list of entries, separated by blanks, each of which holds until the next::

    Mon-Fri 08:00,50M 18:00,off Sat-Sun,off     days, then the entries of these days
    08:00,50M 18:00,off Sat-00:00,off           as rclone writes it
    50M                                         the same rate all week

``HH:MM,RATE`` belongs to the days that were named last, or to every day when none was named yet.
``DAYS,RATE`` is short for ``DAYS 00:00,RATE``: it names the days, too. ``DAYS-HH:MM,RATE`` is an
entry by itself: it says nothing about those that follow. An entry for named days overrides one for
every day at the same time. ``DAYS`` is ``Sat`` or ``Mon-Fri``, in any case.

A RATE is a size in bytes per second in the units of ``rbd`` (``50M`` = 52428800; ``50M/s`` is the
same; no unit means bytes), ``off`` for no limit, or ``0`` to stop copies.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from errno import EINVAL
from typing import Optional

from ...model.errors import MigrationError
from ...model.units import parse_size
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

_FORM = "the form is 'Mon-Fri 08:00,50M 18:00,off Sat-Sun,off', or one rate such as 50M"
_UNITS = ("", "K", "M", "G", "T", "P", "E")


@dataclass(frozen=True)
class Entry:
    """From ``minute`` of ``day`` (0: Monday) on ``rate`` bytes/s; None: no limit, 0: stop."""

    day: int
    minute: int
    rate: Optional[int]


@dataclass(frozen=True)
class Timetable:
    """Entries in the order of the week, at least one, on the wall clock of the zone ``tz``.

    ``str()`` is the canonical text, without the zone; it parses to an equal timetable.
    """

    entries: tuple[Entry, ...]
    tz: str = "UTC"

    def __str__(self) -> str:
        return _format(self.entries)


def parse_rate(text: str, what: str) -> Optional[int]:
    """Bytes per second of a RATE: ``50M``, ``50M/s``, ``off`` (None: no limit), ``0``.

    ``what`` names the option in the error's sentence. Raises MigrationError(EINVAL).
    """
    plain = text.strip().lower()
    if plain == "off":
        return None
    number = plain[:-2] if plain.endswith("/s") else plain
    try:
        return parse_size(number, what)
    except MigrationError as error:
        raise MigrationError(
            EINVAL,
            f"{what} {text!r} is not a rate; give bytes per second such as 50M, "
            "off for no limit, or 0 for no copies.",
        ) from error


def format_rate(rate: Optional[int]) -> str:
    """The inverse of :func:`parse_rate`, exact: ``50M``, ``1000``, ``off``, ``0``."""
    if rate is None:
        return "off"
    power = 0
    while rate and rate % 1024 == 0 and power + 1 < len(_UNITS):
        rate //= 1024
        power += 1
    return f"{rate}{_UNITS[power]}"


def parse_timetable(text: str, what: str, tz: str = "UTC") -> Timetable:
    """The Timetable of ``text`` on the wall clock of ``tz``.

    ``what`` names the option in the error's sentence. Raises MigrationError(EINVAL), naming the
    piece that is wrong, also for a zone that this host does not know.
    """
    zone(tz)
    pieces = text.split()
    if not pieces:
        raise MigrationError(EINVAL, f"{what} is empty; {_FORM}.")
    if len(pieces) == 1 and "," not in text and parse_days(pieces[0]) is None:
        rate = _only_rate(pieces[0], what)
        return Timetable(tuple(Entry(day, 0, rate) for day in EVERY_DAY), tz)
    general, special = _collect(pieces, what)
    merged = {**general, **special}
    entries = tuple(Entry(day, minute, merged[day, minute]) for day, minute in sorted(merged))
    if not entries:
        raise MigrationError(EINVAL, f"{what} {text!r} names days but no rate; {_FORM}.")
    return Timetable(entries, tz)


def _only_rate(piece: str, what: str) -> Optional[int]:
    try:
        return parse_rate(piece, what)
    except MigrationError as error:
        raise MigrationError(EINVAL, f"{what} {piece!r} is not a timetable; {_FORM}.") from error


_Rates = dict[tuple[int, int], Optional[int]]


def _collect(pieces: list[str], what: str) -> tuple[_Rates, _Rates]:
    """The rates by day and minute: those for every day, and those for days that were named."""
    general: _Rates = {}
    special: _Rates = {}
    named: Optional[tuple[int, ...]] = None
    unused = ""
    for piece in pieces:
        when, comma, rate_text = piece.partition(",")
        if not comma:
            if unused:
                break
            named, unused = _days(when, piece, what), piece
            continue
        unused = ""
        days, minute = _when(when, piece, what)
        if minute is None:
            named, minute = days, 0
        days = days or named
        into = general if days is None else special
        rate = parse_rate(rate_text, f"{what}: in {piece!r}, the rate")
        for day in days or EVERY_DAY:
            if into.setdefault((day, minute), rate) != rate:
                raise MigrationError(
                    EINVAL, f"{what}: {piece!r} gives a second rate for the same time; leave one."
                )
    if unused:
        raise MigrationError(EINVAL, f"{what}: no entry follows the days {unused!r}; {_FORM}.")
    return general, special


def _when(text: str, piece: str, what: str) -> tuple[Optional[tuple[int, ...]], Optional[int]]:
    """Days and minute of ``DAYS``, ``HH:MM`` or ``DAYS-HH:MM``; None for a missing part."""
    if ":" not in text:
        return _days(text, piece, what), None
    day_text, dash, clock = text.rpartition("-")
    minute = parse_clock(clock)
    if minute is None or minute >= DAY_MINUTES:
        raise MigrationError(EINVAL, f"{what}: {piece!r} has no time from 00:00 to 23:59; {_FORM}.")
    return (_days(day_text, piece, what) if dash else None), minute


def _days(text: str, piece: str, what: str) -> tuple[int, ...]:
    days = parse_days(text)
    if days is None:
        raise MigrationError(
            EINVAL, f"{what}: {piece!r} is neither days nor an entry for a time; {_FORM}."
        )
    return days


def rate_at(timetable: Timetable, when: datetime) -> Optional[int]:
    """Bytes per second in force at ``when``: None is no limit, 0 is stop."""
    for at, entry in _occurrences(timetable, when, range(1, -16, -1)):
        if at <= when:
            return entry.rate
    raise AssertionError("every entry comes once a week")


def next_change(timetable: Timetable, when: datetime) -> Optional[datetime]:
    """The time after ``when`` at which the rate changes (in UTC); None: it never changes."""
    current = rate_at(timetable, when)
    for at, entry in _occurrences(timetable, when, range(-1, 16)):
        # If a jump of the clock makes entries coincide, the last one counts.
        if at > when and entry.rate != current and rate_at(timetable, at) == entry.rate:
            return at
    return None


def _occurrences(
    timetable: Timetable, when: datetime, days: range
) -> Iterator[tuple[datetime, Entry]]:
    """The entries of the days around ``when``, in the order of ``days``, with their times."""
    today = local_date(when, timetable.tz)
    for offset in days:
        day = today + timedelta(days=offset)
        entries = [entry for entry in timetable.entries if entry.day == day.weekday()]
        for entry in entries[:: days.step]:
            yield instant(day, entry.minute, timetable.tz), entry


def _format(entries: tuple[Entry, ...]) -> str:
    by_day = [tuple((e.minute, e.rate) for e in entries if e.day == day) for day in EVERY_DAY]
    groups = [(k, tuple(g)) for k, g in itertools.groupby(EVERY_DAY, by_day.__getitem__) if k]
    if len(groups) == 1 and len(groups[0][1]) == 7:
        rates, _ = groups[0]
        if [minute for minute, _ in rates] == [0]:
            return format_rate(rates[0][1])
        return _format_day(rates)
    return " ".join(f"{format_days(days)} {_format_day(rates)}" for rates, days in groups)


def _format_day(rates: tuple[tuple[int, Optional[int]], ...]) -> str:
    return " ".join(f"{format_clock(minute)},{format_rate(rate)}" for minute, rate in rates)
