"""The policy of migrations: goal, priority, rate, window and verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .cutover import CutoverPolicy
from .states import Goal
from .verification import Verify


@dataclass(frozen=True)
class Policy:
    """The goal, priority, rate and window of migrations, and the conditions of their commit.

    ``rate``: bytes per second, None is no limit, 0 stops. ``window``: a text that
    ``control.pace.window`` reads; empty is always. ``verify``: the comparison before a commit.
    ``soak``: seconds between that and the commit. ``cutover``: how clients are made to leave the
    source of a warm migration; None: as before, or the default. ``cutover_window`` is when it may
    cut over, as ``window``. ``refresh_source``: seconds between two reverse rounds after a cutover,
    0: none follows by itself.
    """

    goal: Goal = Goal.PREPARED
    priority: int = 0
    rate: Optional[int] = None
    window: str = ""
    verify: Verify = Verify.AUTO
    soak: float = 0.0
    cutover: Optional[CutoverPolicy] = None
    cutover_window: str = ""
    refresh_source: float = 0.0
