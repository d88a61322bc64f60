"""What front ends show of hooks: rows of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class HookCall:
    """A message that was sent to a hook, and what came of it.

    ``at`` in ISO 8601. ``about``: the target of its migration, or its plan; None: a test.
    ``outcome``: taken, veto, later or failed. ``reason``: of a veto or a failure.
    """

    at: Optional[str]
    event: str
    about: Optional[str]
    outcome: str
    reason: Optional[str]


@dataclass(frozen=True)
class HookRow:
    """A hook, and what became of its messages. Nothing of its secret.

    ``events`` by name. ``waiting``: messages that it did not take yet; ``failing``: one of them
    failed several times; ``lost``: messages that were given up or left out since this manager is
    active. ``created`` and ``last_at`` are in ISO 8601. ``last_failure``: why the last message was
    not taken; None: it was. ``recent``: the last ones that this manager sent, the latest first.
    ``questions``: the targets of the migrations that wait for its answer.
    """

    name: str
    url: str
    events: tuple[str, ...]
    pool: Optional[str]
    timeout_seconds: float
    own_ca: bool
    created: Optional[str]
    waiting: int
    failing: bool
    lost: int
    last_at: Optional[str]
    last_event: Optional[str]
    last_failure: Optional[str]
    recent: tuple[HookCall, ...] = ()
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class LateAnswer:
    """The answer for a hook that had put a question off. ``veto``: why not; None: yes."""

    hook: str
    target: str
    event: str
    veto: Optional[str]
