"""Sizes and durations, from people and for people."""

from contextlib import suppress
from errno import EINVAL

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.bounds import MAX_DURATION
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.units import format_seconds, format_size, parse_seconds, parse_size

SIZES = [
    ("0", 0),
    ("4194304", 4 << 20),
    ("512B", 512),
    ("4M", 4 << 20),
    ("4m", 4 << 20),
    ("4MB", 4 << 20),
    ("4MiB", 4 << 20),
    (" 64 KiB ", 64 << 10),
    ("3T", 3 << 40),
    ("1E", 1 << 60),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes_have_binary_units(text, size):
    assert parse_size(text, "--object-size") == size


NO_SIZES = [
    *["", " ", "M", "4X", "4Mi", "-1", "+1", "1.5M", "4 4M", "0x10", "4MM", "1e6", "²"],
    "4\N{KELVIN SIGN}",
    pytest.param("1" * 5000, id="5000 digits"),
]


@pytest.mark.parametrize("text", NO_SIZES)
def test_what_is_no_size_is_refused_with_the_name_of_the_option(text):
    with pytest.raises(MigrationError, match=r"^--object-size .*\.$") as e:
        parse_size(text, "--object-size")
    assert e.value.errno == EINVAL


@given(st.text(max_size=12) | st.from_regex(r"(?i)\s*\d+\s*[bkmgtpe]?i?b?\s*"))
def test_no_text_makes_anything_but_a_size_or_a_refusal(text):
    with suppress(MigrationError):
        assert parse_size(text, "x") >= 0


@given(st.integers(0, 59))
def test_the_limits_that_errors_show_can_be_typed(exponent):
    assert parse_size(format_size(1 << exponent), "x") == 1 << exponent


SHOWN_SIZES = [
    (0, "0 B"),
    (512, "512 B"),
    (1023, "1023 B"),
    (1024, "1 KiB"),
    (1536, "1.5 KiB"),
    (100 << 10, "100 KiB"),
    (64 << 20, "64 MiB"),
    (3 << 29, "1.5 GiB"),
    (10 << 40, "10 TiB"),
    (5 << 60, "5120 PiB"),
]


@pytest.mark.parametrize(("size", "text"), SHOWN_SIZES)
def test_sizes_are_shown_with_one_digit_after_the_point_at_most(size, text):
    assert format_size(size) == text


SHOWN_SECONDS = [
    (-3, "0s"),
    (0, "0s"),
    (59.9, "59s"),
    (60, "1m 00s"),
    (185, "3m 05s"),
    (3599, "59m 59s"),
    (3600, "1h 00m"),
    (8040, "2h 14m"),
    (360000, "100h 00m"),
]


@pytest.mark.parametrize(("seconds", "text"), SHOWN_SECONDS)
def test_durations_are_shown_in_two_units_at_most(seconds, text):
    assert format_seconds(seconds) == text


SECONDS = [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604800), ("0", 0)]


@pytest.mark.parametrize(("text", "seconds"), SECONDS)
def test_durations_are_read_with_a_unit(text, seconds):
    assert parse_seconds(text, "--soak") == seconds


NO_SECONDS = [
    *["", "soon", "-1", "1w", "1h30m", "nan", "inf", "1e3", "\N{ARABIC-INDIC DIGIT THREE}d"],
    pytest.param("9" * 400, id="400 digits"),
    pytest.param("1." + "0" * 400, id="400 digits after the point"),
]


@pytest.mark.parametrize("text", NO_SECONDS)
def test_what_is_no_duration_is_refused_in_a_short_sentence(text):
    with pytest.raises(MigrationError, match="not a duration") as e:
        parse_seconds(text, "--soak")
    assert len(str(e.value)) < 200


@pytest.mark.parametrize("text", ["367d", "9000h", "1200000d", "99999999999999999999"])
def test_a_duration_of_more_than_a_year_is_refused(text):
    with pytest.raises(MigrationError, match="longer than 366 days"):
        parse_seconds(text, "--soak")
    assert parse_seconds("366d", "--soak") == MAX_DURATION


def test_a_size_that_64_bits_do_not_hold_is_refused():
    assert parse_size("7E", "--rate") == 7 << 60
    with pytest.raises(MigrationError, match="less than 8E"):
        parse_size("8E", "--rate")
