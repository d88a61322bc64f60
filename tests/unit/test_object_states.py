"""Which objects may differ, by the object maps of a snapshot and of the head after it."""

from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.mover.object_states import (
    MISSING,
    REMOVING,
    THERE,
    UNWRITTEN,
    there,
    written,
)

STATES = st.sampled_from([MISSING, THERE, REMOVING, UNWRITTEN])
MAPS = st.lists(STATES, max_size=40)


def packed(states):
    """As librbd keeps them: four in a byte, the first one in the highest bits."""
    padded = [*states, *[MISSING] * (-len(states) % 4)]
    return bytes(
        sum(state << shift for state, shift in zip(padded[at : at + 4], (6, 4, 2, 0)))
        for at in range(0, len(padded), 4)
    )


def expected(snapshot, head):
    """What is surely the same is not told, all else is."""
    for number in range(max(len(snapshot), len(head))):
        before = snapshot[number] if number < len(snapshot) else MISSING
        now = head[number] if number < len(head) else MISSING
        same = (before, now) == (MISSING, MISSING) or (
            now == UNWRITTEN and before in (THERE, UNWRITTEN)
        )
        if not same:
            yield number


@given(MAPS, MAPS)
def test_an_object_that_may_have_been_written_is_told(snapshot, head):
    assert list(written(packed(snapshot), packed(head))) == list(expected(snapshot, head))


@given(MAPS, MAPS)
def test_an_object_that_either_has_is_told(snapshot, head):
    present = {n for states in (snapshot, head) for n, state in enumerate(states) if state}
    assert list(there(packed(snapshot), packed(head))) == sorted(present)


def test_large_maps_are_compared_in_pieces():
    snapshot, head = bytearray(b"\xff" * 20000), bytearray(b"\xff" * 20000)
    head[0] = 0b01111111
    head[19999] = 0b11111101
    assert list(written(bytes(snapshot), bytes(head))) == [0, 79999]
