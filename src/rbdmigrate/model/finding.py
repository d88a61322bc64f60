"""A finding: one result of the checks before a migration."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(str, enum.Enum):
    """The severity of a finding: errors stop a migration, warnings should be read, the rest is
    info.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """``object`` is its subject: an image spec, a pool. ``message`` is one sentence.

    ``remedy`` is a command if there is one, else a sentence or empty. ``errno`` is that of a
    command which is refused because of it; 0 unless it is an error.
    """

    code: str
    severity: Severity
    object: str
    message: str
    remedy: str = ""
    errno: int = 0

    @property
    def sentence(self) -> str:
        """The message including the remedy, for a refusal, which shows nothing else."""
        if not self.remedy or self.remedy in self.message:
            return self.message
        return f"{self.message.rstrip('.')} (`{self.remedy}`)."
