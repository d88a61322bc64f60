"""A finding: one thing that a look before a migration found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(str, enum.Enum):
    """What a finding means: an error stops, a warning should be read, info is for the curious."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """``object`` is what it is about: an image spec, a pool. ``message`` is one sentence.

    ``remedy`` is a command where there is one, otherwise a sentence or nothing. ``errno`` is that
    of a command which is refused because of it; 0 unless it is an error.
    """

    code: str
    severity: Severity
    object: str
    message: str
    remedy: str = ""
    errno: int = 0

    @property
    def sentence(self) -> str:
        """The message with the remedy in it, for a refusal, which shows nothing else."""
        if not self.remedy or self.remedy in self.message:
            return self.message
        return f"{self.message.rstrip('.')} (`{self.remedy}`)."
