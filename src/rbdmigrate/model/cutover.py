"""How clients of a warm migration are made to leave the source before its cutover."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from errno import EINVAL

from .errors import MigrationError
from .slotted import slotted
from .units import parse_seconds

MAX_PAUSE = 3.0  # seconds, unless the administrator gives another bound
LEAST_PAUSE, LONGEST_PAUSE = 0.1, 600.0  # seconds, the bounds of --max-pause


class CutoverMode(str, enum.Enum):
    """How a cutover comes about.

    ``refuse``: the administrator stops the clients, and a cutover is refused while one has the
    image open. ``when-closed``: at the moment when the last client closes the image. ``agent``: the
    agent on the host of the guest pauses it and exchanges its disk. ``hook``: hooks are asked to
    stop the clients.
    """

    REFUSE = "refuse"
    WHEN_CLOSED = "when-closed"
    AGENT = "agent"
    HOOK = "hook"


@slotted
@dataclass(frozen=True)
class CutoverPolicy:
    """How the cutover is to be done.

    ``max_pause``: seconds that a guest may be paused; what takes longer is undone.
    ``name_changes``: clients are known to find the image under its new name.
    """

    mode: CutoverMode = CutoverMode.REFUSE
    max_pause: float = MAX_PAUSE
    name_changes: bool = False


@dataclass(frozen=True)
class Release:
    """Clients have left the image, which they say they do not open again before they are told.

    ``at``: since when (seconds since the epoch). ``token`` names the pause, and ``host`` and
    ``guest`` say who waits; all are empty when the clients just closed the image.
    """

    at: float
    token: str = ""
    host: str = ""
    guest: str = ""


def parse_pause(text: str, what: str) -> float:
    """Return the seconds of a longest pause, such as ``3s``. Raises MigrationError(EINVAL)."""
    seconds = parse_seconds(text, what, LONGEST_PAUSE)
    if seconds < LEAST_PAUSE:
        raise MigrationError(EINVAL, f"{what} is {seconds:g} s; give {LEAST_PAUSE:g} s or more.")
    return seconds
