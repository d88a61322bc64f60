"""What the agent needs of the manager, however that is reached."""

from __future__ import annotations

from typing import Protocol

from rbdmigrate.model.agent_messages import Answer, Request


class Unanswered(Exception):
    """The manager gave no answer to a message; the text is a sentence for the log."""


class Manager(Protocol):
    """Whoever answers the agent."""

    def ask(self, request: Request, seconds: float) -> Answer:
        """The answer, within so many seconds. Raises Unanswered."""

    def look_up(self, pool: str, seconds: float) -> None:
        """Make sure that the cluster answers from here. Raises Unanswered."""
