"""A policy: how a migration is to be carried out, whatever moves where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .migration import Goal
from .verification import Verify


@dataclass(frozen=True)
class Policy:
    """How far it goes by itself, before which others, how fast and when.

    ``rate``: bytes per second, None is no limit, 0 stands still. ``window``: a text that
    ``control.pace.window`` reads; empty is always. ``verify``: what is compared before a commit.
    ``soak``: seconds between that and the commit.
    """

    goal: Goal = Goal.PREPARED
    priority: int = 0
    rate: Optional[int] = None
    window: str = ""
    verify: Verify = Verify.AUTO
    soak: float = 0.0
