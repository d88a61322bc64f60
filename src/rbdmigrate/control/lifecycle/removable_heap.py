"""A heap whose items can be removed and given another key. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Any, Generic, Optional, TypeVar

T = TypeVar("T", bound=Hashable)
_FEW = 64  # removed entries that are left in the heap in any case


class RemovableHeap(Generic[T]):
    """Items by key, the lowest first, those with equal keys in the order in which they came.

    Each change takes O(log n) steps on average. For one thread.
    """

    def __init__(self) -> None:
        self._entries: dict[T, list[Any]] = {}
        self._heap: list[list[Any]] = []  # [key, number, item]; a removed one has no item
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, item: T, key: Any) -> None:
        """Add an item, or give it another key."""
        entry = self._entries.get(item)
        if entry is not None:
            if entry[0] == key:
                return
            self.remove(item)
        entry = self._entries[item] = [key, next(self._numbers), item]
        heapq.heappush(self._heap, entry)

    def remove(self, item: T) -> None:
        """Remove an item, if it is there."""
        entry = self._entries.pop(item, None)
        if entry is None:
            return
        entry[2] = None
        if len(self._heap) > 2 * len(self._entries) + _FEW:
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)

    def first(self) -> Optional[tuple[Any, T]]:
        """The lowest key and its item; None when empty."""
        while self._heap:
            key, _, item = self._heap[0]
            if item is not None:
                return key, item
            heapq.heappop(self._heap)
        return None

    def pop(self) -> T:
        """Remove the first item and return it. Raises IndexError when empty."""
        found = self.first()
        if found is None:
            raise IndexError("pop from an empty heap")
        heapq.heappop(self._heap)
        del self._entries[found[1]]
        return found[1]
