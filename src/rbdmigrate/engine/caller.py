"""For whom a thread carries out a request. Threads of the engine itself act for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..control.access import Access

_EVERYTHING = Access()
_access: ContextVar[Access] = ContextVar("access", default=_EVERYTHING)
_who: ContextVar[str] = ContextVar("who", default="")
_internal: ContextVar[bool] = ContextVar("internal", default=False)


def access() -> Access:
    """What the caller whose request this thread carries out may touch."""
    return _access.get()


def who() -> str:
    """The name of the caller for the timeline, such as ``key robot``; empty: the engine itself."""
    return _who.get()


def internal() -> bool:
    """Whether a plan, agent or hook acts, of which no front end writes a line of the audit log."""
    return _internal.get()


@contextmanager
def on_behalf_of(caller: Access, name: str = "") -> Iterator[None]:
    """What this thread does within is done for a caller called ``name`` who may touch that much."""
    before, named = _access.set(caller), _who.set(name)
    try:
        yield
    finally:
        _who.reset(named)
        _access.reset(before)


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """What this thread does within is put down to ``name``: a plan, an agent or a hook."""
    before, inside = _who.set(name), _internal.set(True)
    try:
        yield
    finally:
        _internal.reset(inside)
        _who.reset(before)
