"""For whom a thread carries out a request. Threads of the engine itself act for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..control.access import Access

_EVERYTHING = Access()
_access: ContextVar[Access] = ContextVar("access", default=_EVERYTHING)
_who: ContextVar[str] = ContextVar("who", default="")


def access() -> Access:
    """What the caller whose request this thread carries out may touch."""
    return _access.get()


def who() -> str:
    """The name of the caller for the timeline, such as ``key robot``; empty: the engine itself."""
    return _who.get()


@contextmanager
def on_behalf_of(caller: Access, name: str = "") -> Iterator[None]:
    """What this thread does within is done for a caller called ``name`` who may touch that much."""
    before = _access.set(caller)
    try:
        with acting_as(name):
            yield
    finally:
        _access.reset(before)


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """What this thread does within is put down to ``name``."""
    before = _who.set(name)
    try:
        yield
    finally:
        _who.reset(before)
