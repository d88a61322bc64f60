"""The heap from which items are removed behaves as a sorted list would."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.removable_heap import RemovableHeap

acts = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "pop"]), st.integers(0, 9), st.integers(0, 3))
)


@given(acts)
def test_it_is_a_sorted_list(done):
    heap: RemovableHeap[int] = RemovableHeap()
    model: dict[int, tuple[int, int]] = {}
    numbers = count()
    for act, item, key in done:
        if act == "put":
            if item not in model or model[item][0] != key:
                model[item] = (key, next(numbers))
            heap.put(item, key)
        elif act == "remove":
            model.pop(item, None)
            heap.remove(item)
        elif model:
            lowest = min(model, key=lambda one: model[one])
            del model[lowest]
            assert heap.pop() == lowest
        assert len(heap) == len(model)
        lowest = min(model, key=lambda one: model[one], default=None)
        assert heap.first() == (None if lowest is None else (model[lowest][0], lowest))


def test_an_empty_heap_has_nothing_to_pop():
    with pytest.raises(IndexError):
        RemovableHeap().pop()


def test_removed_entries_do_not_pile_up():
    heap: RemovableHeap[str] = RemovableHeap()
    heap.put("first", -1)
    for key in range(1000):
        heap.put("moves", key)
    assert len(heap._heap) < 100
