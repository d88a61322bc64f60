"""Decides which connection gets the next free thread, so that no client can use all of them."""

import queue
import threading
import time
from collections import Counter, deque
from typing import Any, Container, Deque, Dict, Optional, Tuple


class WaitingConnections:
    """The queue between the thread that accepts connections and those that answer requests.

    A connection has a ``network``. Networks in ``known`` are served in turn. Of all others at most
    ``strangers`` connections have a thread at once, and at most ``per_network`` of the same
    network. :meth:`put`, :meth:`get` and :meth:`qsize` are those of ``queue.Queue``; :meth:`done`
    has to follow each :meth:`get`. An item without a ``network`` is handed on immediately.
    """

    def __init__(
        self, *, size: int, strangers: int, per_network: int, known: Container[str]
    ) -> None:
        self._size = size
        self._strangers = strangers
        self._per_network = per_network
        self._known = known
        self._changed = threading.Condition()
        self._waiting: Deque[Tuple[float, Any]] = deque()
        self._others: Deque[Any] = deque()
        self._served: Dict[int, str] = {}  # strangers that have a thread, by id of the connection
        self._served_of: Counter[str] = Counter()

    def put(self, item: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        """Add a connection. Raises ``queue.Full`` if too many wait. Never blocks."""
        with self._changed:
            if not hasattr(item, "network"):
                self._others.append(item)
            elif len(self._waiting) >= self._size:
                raise queue.Full
            else:
                self._waiting.append((time.monotonic(), item))
            self._changed.notify()

    def get(self) -> Any:
        """Return the next connection, as soon as one may be served."""
        with self._changed:
            while True:
                if self._others:
                    return self._others.popleft()
                found = self._next()
                if found is not None:
                    return found
                self._changed.wait()

    def done(self, item: Any) -> None:
        """Free the thread of a connection that :meth:`get` returned."""
        with self._changed:
            name = self._served.pop(id(item), None)
            if name is not None:
                self._served_of[name] -= 1
                if not self._served_of[name]:
                    del self._served_of[name]
            self._changed.notify_all()

    def qsize(self) -> int:
        """Return the number of waiting connections."""
        with self._changed:
            return len(self._waiting) + len(self._others)

    def longest(self) -> float:
        """Return the seconds for which the oldest connection has waited; 0 if none waits."""
        with self._changed:
            return time.monotonic() - self._waiting[0][0] if self._waiting else 0.0

    def _next(self) -> Any:
        for place, (_, item) in enumerate(self._waiting):
            name = item.network
            stranger = name not in self._known
            if stranger and not self._may(name):
                continue
            del self._waiting[place]
            if stranger:
                self._served[id(item)] = name
                self._served_of[name] += 1
            return item
        return None

    def _may(self, name: str) -> bool:
        """Whether one more connection of this unknown network may have a thread."""
        return len(self._served) < self._strangers and self._served_of[name] < self._per_network
