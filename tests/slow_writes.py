"""Writes of records that time out: they may have been done all the same.

For the store over a real pool and for the one over the fake cluster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import Goal, State


class SlowPool:
    """How the pool takes writes: at once, late (done, without an answer), or not at all."""

    def __init__(self) -> None:
        self.takes = "at once"
        self.writes = 0

    @contextmanager
    def silent(self, takes: str) -> Iterator[None]:
        """A while in which the pool does not answer."""
        self.takes = takes
        try:
            yield
        finally:
            self.takes = "at once"


def slow_pool(monkeypatch: pytest.MonkeyPatch, store: Any, timed_out: Any) -> SlowPool:
    """Every pool of the class ``store``, as a test wants it; ``timed_out``: what a write raises."""
    pool, real = SlowPool(), store._guarded

    def guarded(self: Any, act: Any, oid: str) -> None:
        pool.writes += 1
        if pool.takes != "never":
            real(self, act, oid)
        if pool.takes != "at once":
            raise timed_out("the test wants it", errno=110)

    monkeypatch.setattr(store, "_guarded", guarded)
    return pool


def asked(pool: str, pool_id: int, number: int = 1, goal: Goal = Goal.COMMITTED) -> Migration:
    """A migration within a pool that was asked for."""
    source = Place(pool, "", f"a{number}", pool_id, f"source{number}")
    target = Place(pool, "", f"b{number}", pool_id)
    return Migration(f"{number:012d}", source, target, goal, State.QUEUED, created=float(number))
