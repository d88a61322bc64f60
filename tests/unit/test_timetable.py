"""The weekly timetable: what it says at a given time, also when the clock changes."""

from datetime import datetime, timedelta, timezone
from errno import EINVAL

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.pace.timetable import (
    Entry,
    Timetable,
    format_rate,
    next_change,
    parse_rate,
    parse_timetable,
    rate_at,
)
from rbdmigrate.control.pace.weekly import format_days, instant, parse_clock, parse_days, zone
from rbdmigrate.model.errors import MigrationError

M = 1 << 20
BERLIN = "Europe/Berlin"
UTC = timezone.utc
# 2026-06-01 is a Monday. In Berlin the clock jumps on 2026-03-29 from 02:00 to 03:00 and goes
# back on 2026-10-25 from 03:00 to 02:00, both at 01:00 UTC.
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def at(day: str, clock: str) -> datetime:
    hours, minutes = clock.split(":")
    number = parse_days(day)[0]
    return MONDAY + timedelta(days=number, hours=int(hours), minutes=int(minutes))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WEEK = "Mon-Fri 08:00,50M 18:00,off Sat-Sun,off"
RCLONE = "08:00,50M 18:00,off Sat-00:00,off"
RATES = [
    (WEEK, "Mon", "07:59", None),
    (WEEK, "Mon", "08:00", 50 * M),
    (WEEK, "Fri", "17:59", 50 * M),
    (WEEK, "Fri", "18:00", None),
    (WEEK, "Sat", "12:00", None),
    (WEEK, "Sun", "23:59", None),
    (RCLONE, "Wed", "12:00", 50 * M),
    (RCLONE, "Sat", "07:59", None),
    (RCLONE, "Sat", "08:00", 50 * M),  # entries without days are for every day, as in rclone
    ("50M", "Thu", "00:00", 50 * M),
    ("off", "Thu", "00:00", None),
    ("0", "Thu", "00:00", 0),
    ("Wed 12:00,1M", "Wed", "11:59", M),  # one entry holds all week
    ("Wed 12:00,1M Thu 12:00,2M", "Mon", "00:00", 2 * M),  # around the end of the week
    ("Sat-Sun,off 08:00,10M", "Mon", "00:00", 10 * M),  # DAYS,RATE names the days, too
    ("Sat-Sun,off 08:00,10M", "Sun", "07:00", None),
    ("Mon 08:00,1M Sat-00:00,3M 09:00,2M", "Mon", "10:00", 2 * M),  # DAY-HH:MM names none
    ("00:00,5M Sat-00:00,off", "Sat", "01:00", None),  # a named day overrides every day
    ("Sat-00:00,off 00:00,5M", "Sat", "01:00", None),  # in whatever order
    ("Fri-Mon,1M Tue-Thu,2M", "Sun", "01:00", M),
    ("monday,1M TUE,2m", "Tue", "01:00", 2 * M),
    ("Mon-Fri-08:00,1M 18:00,2M", "Sat", "19:00", 2 * M),
]


@pytest.mark.parametrize(("text", "day", "clock", "rate"), RATES)
def test_the_rate_in_force(text, day, clock, rate):
    assert rate_at(parse_timetable(text, "--timetable"), at(day, clock)) == rate


BAD = [
    ("", "is empty"),
    ("foo", "'foo' is not a timetable"),
    ("50X", "'50X' is not a timetable"),
    ("Mon-Fri", "'Mon-Fri'"),
    ("Mon-Fri Sat 08:00,1M", "'Mon-Fri'"),
    ("08:00,1M Sat", "'Sat'"),
    ("08:00,50M 20M", "'20M'"),
    ("08:00", "'08:00'"),
    ("08:00,fast", "in '08:00,fast', the rate 'fast' is not a rate"),
    ("08:00,-1M", "'-1M'"),
    ("08:00,", "''"),
    ("24:00,1M", "'24:00,1M'"),
    ("8.30,1M", "'8.30,1M'"),
    ("08:60,1M", "'08:60,1M'"),
    ("Mo 08:00,1M", "'Mo'"),
    ("Mon-Tue-Wed,1M", "'Mon-Tue-Wed,1M'"),
    ("Funday-08:00,1M", "'Funday-08:00,1M'"),
    ("08:00,1M 08:00,2M", "a second rate"),
    ("Mon-Fri 08:00,1M Wed 08:00,off", "a second rate"),
]


@pytest.mark.parametrize(("text", "says"), BAD)
def test_what_is_no_timetable_is_refused_naming_the_piece(text, says):
    with pytest.raises(MigrationError) as refused:
        parse_timetable(text, "--timetable")
    assert refused.value.errno == EINVAL
    assert refused.value.message.startswith("--timetable")
    assert says in refused.value.message
    assert "\n" not in refused.value.message


@given(st.text(alphabet="MonSatFri-,:;0129 KMoff/s", max_size=24))
def test_any_text_is_either_understood_or_refused(text):
    try:
        timetable = parse_timetable(text, "--timetable")
    except MigrationError:
        return
    assert parse_timetable(str(timetable), "again") == timetable


def test_the_canonical_text():
    for text, canonical in [
        (WEEK, "Mon-Fri 08:00,50M 18:00,off Sat-Sun 00:00,off"),
        (RCLONE, "Mon-Fri 08:00,50M 18:00,off Sat 00:00,off 08:00,50M 18:00,off Sun 08:00,50M"),
        ("51200K/s", "50M"),
        ("Mon-Sun 08:00,1000 22:00,0", "08:00,1000 22:00,0"),
    ]:
        assert str(parse_timetable(text, "--timetable")).startswith(canonical)


entries = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, 1439)),
    st.one_of(st.none(), st.integers(0, 1 << 40), st.integers(0, 2000).map(lambda n: n * M)),
    min_size=1,
    max_size=12,
)
timetables = st.builds(
    lambda rates, tz: Timetable(tuple(Entry(*key, rates[key]) for key in sorted(rates)), tz),
    entries,
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
)
moments = st.integers(0, 400 * 1440).map(lambda n: utc("2026-01-01") + timedelta(minutes=n))


@given(timetables)
def test_the_canonical_text_parses_to_the_same(timetable):
    assert parse_timetable(str(timetable), "again", timetable.tz) == timetable


@given(timetables, moments)
def test_the_next_change_is_where_the_rate_changes(timetable, when):
    now, change = rate_at(timetable, when), next_change(timetable, when)
    if change is None:
        assert {entry.rate for entry in timetable.entries} == {now}
        return
    assert change > when
    assert rate_at(timetable, change) != now
    assert rate_at(timetable, change - timedelta(seconds=1)) == now
    assert rate_at(timetable, when + (change - when) / 2) == now


def berlin(text: str) -> Timetable:
    return parse_timetable(text, "--timetable", BERLIN)


def test_the_wall_clock_is_that_of_the_zone():
    day = berlin("08:00,50M 18:00,off")
    assert rate_at(day, utc("2026-01-15 06:59")) is None
    assert rate_at(day, utc("2026-01-15 07:00")) == 50 * M  # winter: one hour ahead of UTC
    assert rate_at(day, utc("2026-07-15 06:00")) == 50 * M  # summer: two
    assert rate_at(day, utc("2026-07-15 16:00")) is None
    there = datetime(2026, 7, 15, 8, 0, tzinfo=zone("America/New_York"))
    assert next_change(day, there) == utc("2026-07-15 16:00")


def test_a_time_that_does_not_exist_happens_when_the_clock_jumps():
    night = berlin("02:30,50M 05:00,off")
    assert rate_at(night, utc("2026-03-29 00:59:59")) is None
    assert rate_at(night, utc("2026-03-29 01:00")) == 50 * M  # 03:00 there
    assert next_change(night, utc("2026-03-29 00:00")) == utc("2026-03-29 01:00")
    assert next_change(night, utc("2026-03-29 01:00")) == utc("2026-03-29 03:00")


def test_of_several_times_that_do_not_exist_the_last_counts():
    night = berlin("02:10,1M 02:40,2M 05:00,off")
    assert rate_at(night, utc("2026-03-29 01:00")) == 2 * M
    assert next_change(night, utc("2026-03-29 00:00")) == utc("2026-03-29 01:00")
    rare = berlin("Sun 02:10,1M 02:40,2M")
    assert next_change(rare, utc("2026-03-28 12:00")) == utc("2026-04-05 00:10")


def test_a_time_that_exists_twice_happens_the_first_time():
    night = berlin("02:30,50M 05:00,off")
    assert rate_at(night, utc("2026-10-25 00:29")) is None
    assert rate_at(night, utc("2026-10-25 00:30")) == 50 * M  # 02:30 in summer time
    assert rate_at(night, utc("2026-10-25 01:05")) == 50 * M  # 02:05 again, in winter time
    assert rate_at(night, utc("2026-10-25 01:30")) == 50 * M  # 02:30 again
    assert next_change(night, utc("2026-10-25 00:00")) == utc("2026-10-25 00:30")
    assert next_change(night, utc("2026-10-25 00:30")) == utc("2026-10-25 04:00")


def test_the_days_of_a_change_have_23_and_25_hours():
    week = berlin("Sun 00:00,1M Mon 00:00,off")
    for sunday, hours in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-07", 24)]:
        begin = next_change(week, utc(sunday) - timedelta(days=1))
        assert next_change(week, begin) - begin == timedelta(hours=hours)


def test_midnight_that_is_jumped_over_or_comes_twice():
    cairo = parse_timetable("Fri 00:00,1M Sat 00:00,off", "--timetable", "Africa/Cairo")
    # In Cairo the last Thursday of October ends with 23:00 to 24:00 twice.
    assert next_change(cairo, utc("2026-10-29 00:00")) == utc("2026-10-29 22:00")
    # The last Friday of April begins at 01:00.
    assert next_change(cairo, utc("2026-04-23 12:00")) == utc("2026-04-23 22:00")


@given(st.integers(0, 399), st.integers(0, 2 * 1440), st.integers(0, 1440))
def test_moments_never_go_back_as_the_clock_goes_forward(days, minute, more):
    for tz in (BERLIN, "Australia/Lord_Howe", "Africa/Cairo"):
        day = utc("2026-01-01").date() + timedelta(days=days)
        assert instant(day, minute, tz) <= instant(day, minute + more, tz)


@pytest.mark.parametrize(
    "name", ["Europe/Nowhere", "", "../etc/passwd", "Europe", "Mars\0", "CE ST"]
)
def test_an_unknown_zone_is_refused_in_one_sentence(name):
    with pytest.raises(MigrationError, match="tzdata") as refused:
        parse_timetable("50M", "--timetable", name)
    assert refused.value.errno == EINVAL


def test_a_host_without_zone_data_still_knows_utc(monkeypatch):
    import zoneinfo

    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([])
    zoneinfo.ZoneInfo.clear_cache()
    zone.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "tzdata", None)
    try:
        assert rate_at(parse_timetable("50M", "--timetable", "utc"), MONDAY) == 50 * M
        with pytest.raises(MigrationError, match="'Europe/Berlin' is not known on this host"):
            parse_timetable("50M", "--timetable", BERLIN)
    finally:
        zoneinfo.reset_tzpath(before)
        zone.cache_clear()


def test_a_time_without_a_zone_is_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="time zone"):
        rate_at(berlin("50M"), MONDAY.replace(tzinfo=None))


@given(st.one_of(st.none(), st.integers(0, 1 << 62)))
def test_rates_are_written_exactly(rate):
    assert parse_rate(format_rate(rate), "--rate") == rate


def test_rates_may_name_the_second():
    assert parse_rate(" 50M/s ", "--rate") == parse_rate("50MiB/S", "--rate") == 50 * M
    assert parse_rate("OFF", "--rate") is None
    for text in ("/s", "off/s", "50M/h", "50 M/s/s", "none"):
        with pytest.raises(MigrationError, match="is not a rate"):
            parse_rate(text, "--rate")


@given(st.integers(0, 6), st.integers(1, 7))
def test_days_are_written_as_they_are_read(first, count):
    days = tuple((first + n) % 7 for n in range(count))
    assert parse_days(format_days(days)) == days


def test_times_of_day():
    assert [parse_clock(t) for t in ("0:00", "08:05", "24:00")] == [0, 485, 1440]
    assert [parse_clock(t) for t in ("24:01", "8", "08:5", "٠٨:00", "008:00")] == [None] * 5
