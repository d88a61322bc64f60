"""Extents of two images: their union, and their pieces within blocks."""

from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.verification import BLOCK
from rbdmigrate.control.objects.extents import ExtentSet, union

lists = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=12)


def extents(pairs, unit: int = 1) -> ExtentSet:
    made = ExtentSet()
    for begin, length in sorted(pairs):
        made.add(begin * unit, (begin + length) * unit)
    return made


def covered(pairs) -> "set[int]":
    return {at for begin, length in pairs for at in range(begin, begin + length)}


@given(lists, lists)
def test_a_union_has_what_is_in_either_and_no_more(one, other):
    found = list(union(extents(one), extents(other)))
    assert {at for begin, end in found for at in range(begin, end)} == covered(one) | covered(other)
    assert all(before[1] < after[0] for before, after in zip(found, found[1:]))
    assert all(begin < end for begin, end in found)


@given(lists, st.sampled_from([512, BLOCK // 3, BLOCK]))
def test_pieces_are_the_extents_and_each_lies_in_one_block(pairs, unit):
    made = extents(pairs, unit)
    pieces = list(made.pieces())
    assert sum(length for _, _, length in pieces) == sum(end - begin for begin, end in made)
    for block, offset, length in pieces:
        assert block * BLOCK <= offset < offset + length <= (block + 1) * BLOCK
    assert list(made.blocks()) == sorted({block for block, _, _ in pieces})
    assert made.end == max((offset + length for _, offset, length in pieces), default=0)
