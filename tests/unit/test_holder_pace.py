"""How many objects at once a client copies that copies itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.pace.lock_owner_rate import MOST_OPS, ops_for

MiB = 1 << 20

OPS = [
    (20 * MiB, 4 * MiB, 1),
    (40 * MiB, 4 * MiB, 1),
    (200 * MiB, 4 * MiB, 5),
    (10_000 * MiB, 4 * MiB, MOST_OPS),
    (1, 4 * MiB, 1),
    (80 << 10, 4096, 2),
]


@pytest.mark.parametrize(("rate", "object_size", "ops"), OPS)
def test_the_number_is_guessed_from_the_rate(rate, object_size, ops):
    assert ops_for(rate, object_size) == ops


@given(st.integers(1, 1 << 50), st.integers(4096, 32 * MiB))
def test_there_is_always_at_least_one_object_at_once(rate, object_size):
    assert 1 <= ops_for(rate, object_size) <= MOST_OPS
