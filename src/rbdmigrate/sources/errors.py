"""The exception for sources that cannot be read."""

from __future__ import annotations

from ..model.errors import MigrationError


class SourceError(MigrationError):
    """A source cannot be read; says why and what to do, in one sentence without a secret.

    ``problem`` is the stable code of ``problems``. ``transient``: the problem may pass by itself.
    ``remedy`` is a command where there is one.
    """

    def __init__(
        self, problem: str, errno: int, message: str, *, transient: bool = False, remedy: str = ""
    ) -> None:
        super().__init__(errno, message)
        self.problem = problem
        self.transient = transient
        self.remedy = remedy
