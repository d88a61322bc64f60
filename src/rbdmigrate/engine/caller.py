"""For whom a thread carries out a request. Threads of the engine itself act for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..control.access import Access

_EVERYTHING = Access()
_access: ContextVar[Access] = ContextVar("access", default=_EVERYTHING)


def access() -> Access:
    """What the caller whose request this thread carries out may touch."""
    return _access.get()


@contextmanager
def on_behalf_of(caller: Access) -> Iterator[None]:
    """What this thread does within is done for a caller who may touch that much."""
    before = _access.set(caller)
    try:
        yield
    finally:
        _access.reset(before)
