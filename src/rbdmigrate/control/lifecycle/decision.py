"""What can be decided about a migration: to act, to rest, that it has ended, or that it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ...model.states import ActKind, State


@dataclass(frozen=True)
class RunAct:
    """Run this act now."""

    act: ActKind


@dataclass(frozen=True)
class Rest:
    """Nothing to do now."""


@dataclass(frozen=True)
class End:
    """The migration has ended: ``state`` is committed or aborted."""

    state: State
    message: str


@dataclass(frozen=True)
class Fail:
    """The migration cannot go on without the administrator."""

    errno: int
    message: str


Decision = Union[RunAct, Rest, End, Fail]
