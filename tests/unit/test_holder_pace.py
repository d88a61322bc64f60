"""How many objects at once a client copies that copies itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.holder_pace import MOST_OPS, PATIENCE, first_ops, next_ops, off_pace

MiB = 1 << 20

FIRST = [
    (20 * MiB, 4 * MiB, 1),
    (40 * MiB, 4 * MiB, 1),
    (200 * MiB, 4 * MiB, 5),
    (10_000 * MiB, 4 * MiB, MOST_OPS),
    (1, 4 * MiB, 1),
    (80 << 10, 4096, 2),
]


@pytest.mark.parametrize(("rate", "object_size", "ops"), FIRST)
def test_the_first_number_is_guessed_from_the_rate(rate, object_size, ops):
    assert first_ops(rate, object_size) == ops


NEXT = [
    (4, 50 * MiB, 100 * MiB, 2),
    (4, 50 * MiB, 25 * MiB, 8),
    (1, 50 * MiB, 500 * MiB, 1),
    (8, 50 * MiB, 1, MOST_OPS),
    (3, 50 * MiB, 0, 3),
    (3, None, 50 * MiB, MOST_OPS),
]


@pytest.mark.parametrize(("ops", "rate", "measured", "wanted"), NEXT)
def test_the_next_number_follows_from_what_was_measured(ops, rate, measured, wanted):
    assert next_ops(ops, rate, measured) == wanted


OFF = [
    ("no limit, nothing set", None, None, 99, PATIENCE, False),
    ("the limit was taken away", 2, None, 99, 0, True),
    ("a limit came", None, 50, 99, 0, True),
    ("too fast", 4, 50, 101, PATIENCE, True),
    ("too fast, not measured for long", 4, 50, 101, PATIENCE - 1, False),
    ("too fast with one object at a time", 1, 50, 500, PATIENCE, False),
    ("a little too fast", 4, 50, 99, PATIENCE, False),
    ("too slow", 4, 50, 24, PATIENCE, True),
    ("too slow with all that there is", MOST_OPS, 50, 24, PATIENCE, False),
    ("nothing measured", 4, 50, 0, PATIENCE, False),
]


@pytest.mark.parametrize(("ops", "rate", "measured", "seconds", "off"), [o[1:] for o in OFF])
def test_a_copy_begins_anew_when_it_is_far_off_its_pace(ops, rate, measured, seconds, off):
    assert off_pace(ops, rate, measured, seconds) is off


@given(
    st.integers(1, MOST_OPS),
    st.none() | st.integers(1, 1 << 40),
    st.floats(0, 1e13),
)
def test_there_is_always_at_least_one_object_at_once(ops, rate, measured):
    assert 1 <= next_ops(ops, rate, measured) <= MOST_OPS
