"""What the agent does while a guest is paused: a pure function of what it knows.

The agent opens only what the manager named after the outcome was decided. Until then the guest
waits, at most ``max_pause``; then the agent withdraws, which undoes the cutover if it still can be
undone. While no manager answers nobody can tell which image is valid, and the guest waits on.
"""

from __future__ import annotations

import enum
from typing import Optional

from ...model.agent_messages import Outcomes


class AgentStep(enum.Enum):
    """The next step of an agent whose guest is paused."""

    OPEN = "open"  # every disk as the answer says, and let the guest go on
    ASK = "ask"  # for the outcome, again
    WITHDRAW = "withdraw"


def next_step(
    answer: Optional[Outcomes], *, elapsed: float, max_pause: float, withdrawn: bool
) -> AgentStep:
    """Return the next step.

    ``answer``: the manager's last one; None while none answers. ``elapsed``: seconds that the
    guest has been paused. ``withdrawn``: a manager has accepted that the agent withdraws.
    """
    if answer is not None and answer.decided:
        return AgentStep.OPEN
    if elapsed >= max_pause and not withdrawn:
        return AgentStep.WITHDRAW
    return AgentStep.ASK
