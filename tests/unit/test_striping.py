"""Which objects hold which bytes of an image, and in which order they are looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.objects.partial import BELOW, PART, in_several_writes, search_ranges
from rbdmigrate.control.objects.striping import Striping
from rbdmigrate.model.observation import HeaderState, MigrationHeader


@st.composite
def layouts(draw):
    unit = draw(st.integers(1, 4))
    return Striping(unit * draw(st.integers(1, 4)), unit, draw(st.integers(1, 4)))


def holder(layout: Striping, offset: int) -> int:
    """The object of one byte, as librbd's documentation of striping says."""
    unit = offset // layout.stripe_unit
    row, place = divmod(unit, layout.stripe_count)
    rows = layout.object_size // layout.stripe_unit
    return row // rows * layout.stripe_count + place


PLAIN = st.builds(lambda size: Striping(size, size), st.integers(1, 8))


@given(layouts() | PLAIN, st.integers(0, 200), st.integers(0, 100))
def test_an_extent_is_in_the_objects_of_its_bytes(layout, offset, length):
    expected = {holder(layout, byte) for byte in range(offset, offset + length)}
    assert set(layout.objects(offset, length)) == expected


@given(layouts() | PLAIN, st.integers(0, 200), st.integers(0, 100))
def test_the_pieces_of_an_extent_are_its_bytes_in_order(layout, offset, length):
    at = offset
    for number, within, count in layout.pieces(offset, length):
        held = [
            byte for begin, size in layout.extents(number) for byte in range(begin, begin + size)
        ]
        assert held[within : within + count] == list(range(at, at + count))
        at += count
    assert at == offset + length


@given(layouts() | PLAIN, st.integers(0, 20))
def test_the_extents_of_an_object_are_its_bytes_in_order(layout, number):
    found = list(layout.extents(number))
    assert sum(length for _, length in found) == layout.object_size
    held = [byte for offset, length in found for byte in range(offset, offset + length)]
    assert held == sorted(held)
    assert {holder(layout, byte) for byte in held} == {number}


@given(layouts() | PLAIN, st.integers(0, 20), st.integers(0, 20))
def test_a_span_covers_its_objects(layout, first, more):
    offset, length = layout.span(first, first + more)
    for number in (first, first + more):
        for start, size in layout.extents(number):
            assert offset <= start
            assert start + size <= offset + length


@given(layouts() | PLAIN, st.integers(0, 300))
def test_no_byte_is_beyond_the_count(layout, size):
    assert all(holder(layout, byte) < layout.count(size) for byte in range(size))
    assert (layout.count(size) == 0) == (size == 0)


@given(st.integers(0, 5 * PART))
def test_all_objects_are_looked_at_once_the_last_first(count):
    found = list(search_ranges(count, None))
    assert sum(len(part) for part in found) == count
    assert [part.stop for part in found] == sorted((p.stop for p in found), reverse=True)
    assert all(0 < len(part) <= PART for part in found)


@given(st.integers(0, 20_000), st.integers(0, 30_000))
def test_around_an_object_it_begins_somewhat_below_and_goes_up(count, around):
    found = [number for part in search_ranges(count, around) for number in part]
    assert found == list(range(max(0, around - BELOW), count))


def header(carried: int) -> MigrationHeader:
    snapshots = tuple((number, number) for number in range(carried))
    return MigrationHeader(False, 1, "", "", "", HeaderState.PREPARED, snapshots=snapshots)


@pytest.mark.parametrize(
    ("carried", "point", "several"),
    [(0, False, False), (1, False, True), (1, True, False), (2, True, True), (0, True, False)],
)
def test_snapshots_next_to_the_comparison_snapshot_make_several_writes(carried, point, several):
    given = {
        "comparison_snapshot": "point" if point else "",
        "no_comparison_snapshot": "",
        "imported": False,
    }
    assert in_several_writes(header(carried), **given) is several


def test_a_comparison_snapshot_that_the_source_does_not_have_does_not_count():
    assert in_several_writes(
        header(1), comparison_snapshot="point", no_comparison_snapshot="mirrored", imported=False
    )
    assert in_several_writes(
        header(1), comparison_snapshot="point", no_comparison_snapshot="", imported=True
    )
    assert not in_several_writes(
        None, comparison_snapshot="", no_comparison_snapshot="", imported=False
    )
