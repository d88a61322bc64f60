"""The omap of an object of the fake cluster: one write changes all of its keys or none."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterable, Iterator
from typing import Optional, Union

_Pairs = Union[dict[str, bytes], Iterable[tuple[str, bytes]]]


class Omap(dict[str, bytes]):
    """Keys and values, whose changes can be undone.

    To copy it for each write would take longer the more keys it has.
    """

    def __init__(self, pairs: _Pairs = ()) -> None:
        super().__init__(pairs)
        self._before: list[tuple[str, Optional[bytes]]] = []  # what was changed, the oldest first
        self._keys: Optional[dict[bytes, str]] = None  # by value, once that was asked for
        self._sorted: Optional[list[str]] = None  # all keys, once that was asked for

    @contextlib.contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """An exception within undoes what was changed within."""
        self._before.clear()
        try:
            yield
        except BaseException:
            for key, value in reversed(self._before[:]):
                if value is None:
                    del self[key]
                else:
                    self[key] = value
            raise

    def key_of(self, value: bytes) -> Optional[str]:
        """A key that has this value, which no other one should have."""
        if self._keys is None:
            self._keys = {value: key for key, value in self.items()}
        return self._keys.get(value)

    def keys_after(self, after: str, prefix: str = "") -> Iterator[str]:
        """The keys behind ``after`` that begin so, in order. They must not change meanwhile."""
        if self._sorted is None:
            self._sorted = sorted(self)
        begin = bisect.bisect_right(self._sorted, after)
        begin = max(begin, bisect.bisect_left(self._sorted, prefix))
        for number in range(begin, len(self._sorted)):
            if not self._sorted[number].startswith(prefix):
                return
            yield self._sorted[number]

    def __setitem__(self, key: str, value: bytes) -> None:
        self._note(key)
        if self._sorted is not None and key not in self:
            bisect.insort(self._sorted, key)
        super().__setitem__(key, value)
        if self._keys is not None:
            self._keys[value] = key

    def __delitem__(self, key: str) -> None:
        self._note(key)
        super().__delitem__(key)
        if self._sorted is not None:
            del self._sorted[bisect.bisect_left(self._sorted, key)]

    def pop(self, key: str, default: Optional[bytes] = None) -> Optional[bytes]:  # type: ignore[override]
        """Remove a key, if it is there."""
        value = self.get(key, default)
        if key in self:
            del self[key]
        return value

    def update(self, pairs: _Pairs) -> None:  # type: ignore[override]
        """Set several keys."""
        for key, value in dict(pairs).items():
            self[key] = value

    def _note(self, key: str) -> None:
        before = self.get(key)
        self._before.append((key, before))
        if self._keys is not None and before is not None and self._keys.get(before) == key:
            del self._keys[before]
