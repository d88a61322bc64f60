"""Windows: open or closed, across midnight, the week's end and the changes of the clock."""

from datetime import datetime, timedelta, timezone
from errno import EINVAL

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.pace.weekly import parse_days
from rbdmigrate.control.pace.window import (
    Span,
    Window,
    is_open,
    next_closing,
    next_opening,
    parse_window,
)
from rbdmigrate.model.errors import MigrationError

BERLIN = "Europe/Berlin"
MONDAY = datetime(2026, 6, 1, tzinfo=timezone.utc)


def at(text: str, week: int = 0) -> datetime:
    day, clock = text.split()
    hours, minutes = (int(n) for n in clock.split(":"))
    days = parse_days(day)[0] + 7 * week
    return MONDAY + timedelta(days=days, hours=hours, minutes=minutes)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


NIGHTS = "Mon-Fri 20:00-06:00, Sat-Sun"
OPEN = [
    (NIGHTS, "Mon 05:59", False),  # the night to Monday began on Sunday
    (NIGHTS, "Mon 19:59", False),
    (NIGHTS, "Mon 20:00", True),
    (NIGHTS, "Tue 05:59", True),
    (NIGHTS, "Tue 06:00", False),
    (NIGHTS, "Sat 05:59", True),
    (NIGHTS, "Sun 23:59", True),
    ("22:00-04:00", "Mon 03:59", True),
    ("22:00-04:00", "Mon 04:00", False),
    ("Sun 22:00-04:00", "Mon 03:00", True),  # around the end of the week
    ("Sun 22:00-04:00", "Sun 03:00", False),
    ("Sat-Mon; Wed 10:00 - 12:00", "Sun 12:00", True),
    ("Sat-Mon; Wed 10:00 - 12:00", "Wed 11:59", True),
    ("Sat-Mon; Wed 10:00 - 12:00", "Tue 11:59", False),
    ("Sat,Sun 10:00-12:00", "Sat 03:00", True),
    ("Fri 20:00-24:00", "Sat 00:00", False),
    ("Fri 20:00-00:00", "Fri 23:59", True),
]


@pytest.mark.parametrize(("text", "when", "open_"), OPEN)
def test_open_or_closed(text, when, open_):
    assert is_open(parse_window(text), at(when)) is open_


def test_when_it_opens_and_closes():
    window = parse_window(NIGHTS)
    assert next_opening(window, at("Tue 12:00")) == at("Tue 20:00")
    assert next_opening(window, at("Tue 21:00")) == at("Tue 21:00"), "it is open"
    assert next_opening(window, at("Mon 03:00")) == at("Mon 20:00")
    assert next_closing(window, at("Tue 12:00")) is None, "it is closed"
    assert next_closing(window, at("Tue 21:00")) == at("Wed 06:00")
    assert next_closing(window, at("Fri 21:00")) == at("Mon 00:00", week=1), "spans join"
    assert next_opening(parse_window("Mon 01:00-02:00"), at("Mon 02:00")) == at("Mon 01:00", 1)


def test_a_window_that_is_always_open_does_not_close():
    for text in ("Mon-Sun", "00:00-24:00", "08:00-20:00, 20:00-08:00", "Mon-Thu, Fri-Sun"):
        window = parse_window(text)
        assert is_open(window, at("Wed 08:00"))
        assert next_closing(window, at("Wed 08:00")) is None


def test_several_texts_as_a_plan_lists_them():
    assert parse_window(["Mon-Fri 20:00-06:00", "Sat-Sun"]) == parse_window(NIGHTS)


BAD = [
    *["", " ,; ", "Mo", "20:00", "20:00-", "-06:00", "Mon 20:00-06:00 07:00-08:00"],
    *["20:00-20:00", "24:00-06:00", "20:00-25:00", "Mon-Fri 20:00", "Mon,Foo", "20-06"],
    "20:00-06:00 Mon-Fri",
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_window_is_refused_in_one_sentence(text):
    with pytest.raises(MigrationError) as refused:
        parse_window(text, what="--window")
    assert refused.value.errno == EINVAL
    assert refused.value.message.startswith("--window")


def test_an_unknown_zone_is_refused():
    with pytest.raises(MigrationError, match="Europe/Nowhere"):
        parse_window("Sat", "Europe/Nowhere")


def test_it_opens_on_the_wall_clock_of_its_zone():
    window = parse_window("20:00-06:00", BERLIN)
    assert next_opening(window, utc("2026-01-15 12:00")) == utc("2026-01-15 19:00")
    assert next_opening(window, utc("2026-07-15 12:00")) == utc("2026-07-15 18:00")


@pytest.mark.parametrize(
    ("text", "sunday", "opens", "closes"),
    [
        # forward, 02:00 to 03:00 at 01:00 UTC
        ("22:00-04:00", "2026-03-29", "2026-03-28 21:00", "2026-03-29 02:00"),
        ("02:30-04:00", "2026-03-29", "2026-03-29 01:00", "2026-03-29 02:00"),
        ("01:00-02:30", "2026-03-29", "2026-03-29 00:00", "2026-03-29 01:00"),
        # back, 03:00 to 02:00 at 01:00 UTC
        ("22:00-04:00", "2026-10-25", "2026-10-24 20:00", "2026-10-25 03:00"),
        ("02:30-04:00", "2026-10-25", "2026-10-25 00:30", "2026-10-25 03:00"),
        ("01:00-02:30", "2026-10-25", "2026-10-24 23:00", "2026-10-25 00:30"),
    ],
)
def test_summer_time(text, sunday, opens, closes):
    window = parse_window(text, BERLIN)
    before = utc(sunday) - timedelta(hours=8)
    assert next_opening(window, before) == utc(opens)
    assert next_closing(window, utc(opens)) == utc(closes)
    assert is_open(window, utc(closes) - timedelta(seconds=1))
    assert not is_open(window, utc(closes))


def test_a_window_that_the_clock_jumps_over_is_left_out_once():
    window = parse_window("Sun 02:10-02:50", BERLIN)
    assert next_opening(window, utc("2026-03-28 12:00")) == utc("2026-04-05 00:10")


days = st.tuples(st.integers(0, 6), st.integers(1, 7)).map(
    lambda pair: tuple((pair[0] + n) % 7 for n in range(pair[1]))
)
times = st.tuples(st.integers(0, 1439), st.integers(1, 1439))
spans = st.one_of(
    days.map(lambda d: Span(d, 0, 1440)),
    st.builds(lambda d, t: Span(d, t[0], t[0] + t[1]), days, times),
)
windows = st.builds(
    Window,
    st.lists(spans, min_size=1, max_size=4).map(tuple),
    st.sampled_from(["UTC", BERLIN, "America/New_York"]),
)
moments = st.integers(0, 400 * 1440).map(lambda n: utc("2026-01-01") + timedelta(minutes=n))


@given(windows)
def test_the_canonical_text_parses_to_the_same(window):
    assert parse_window(str(window), window.tz) == window


@given(windows, moments)
def test_openings_and_closings_are_where_it_opens_and_closes(window, when):
    opening = next_opening(window, when)
    assert (opening == when) is is_open(window, when)
    assert is_open(window, opening)
    if opening > when:
        assert not is_open(window, opening - timedelta(seconds=1))
        assert not is_open(window, when + (opening - when) / 2)
    closing = next_closing(window, opening)
    if closing is not None:
        assert not is_open(window, closing)
        assert is_open(window, closing - timedelta(seconds=1))
        assert is_open(window, opening + (closing - opening) / 2)
