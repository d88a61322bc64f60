"""What the manager's process and a worker say to each other: one JSON object a line.

Manager to worker: first :class:`Start`, then one :class:`DoJob` at a time, and at any time a
:class:`SetRate`. Worker to manager: first :class:`Hello`, then for each job any number of
``Progress``, ``VerifyProgress`` or ``Published`` events and one ``Done`` or ``Failed``::

    {"DoJob":{"number":7,"job":{"ActOn":{"ends":{"ImageEnds":{...}},"act":{"Execute":{...}}}}}}
    {"FromJob":{"number":7,"event":{"Progress":{"done":12,"total":64,...}}}}
    {"FromJob":{"number":7,"event":{"Done":{"answer":{"Copied":{...}}}}}}

When its standard input ends the worker ends at once.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional, Union

from ..codec import from_tagged, members, to_tagged
from ..errors import RecordError
from ..verification import Verification
from .acts import ActOn
from .answers import Answer
from .questions import Question

MAX_LINE = 1 << 20  # bytes; neither side reads a longer line

Job = Union[ActOn, Question]


class Cause(str, enum.Enum):
    """Why a job failed.

    ``REFUSED``: our own finding; nothing was changed, and the message is for the user. ``IN_USE``:
    our own finding in an act that has begun, and goes on when a client has closed an image; the
    message is for the user. ``LIBRBD``: the message is empty, because librbd's texts mislead and
    repeat secrets. ``BUG``: the message is a Python traceback, for the manager's log alone.
    """

    REFUSED = "refused"
    IN_USE = "in-use"
    LIBRBD = "librbd"
    BUG = "bug"


# -- manager to worker ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """As whom to connect (``cluster.client.Identity``), and the process id of the manager."""

    client: str
    conf: str
    keyring: str
    parent: int


@dataclass(frozen=True)
class DoJob:
    """The next job. ``number`` is in all that the worker tells of it."""

    number: int
    job: Job

    @property
    def rate(self) -> Optional[int]:
        """Bytes per second until the next :class:`SetRate`; None: no limit."""
        return self.job.rate if isinstance(self.job, ActOn) else None


@dataclass(frozen=True)
class SetRate:
    """The rate of the copy from now on, in bytes per second; None: no limit."""

    rate: Optional[int]


# -- worker to manager ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello:
    """The worker is connected: by which addresses it is fenced, and its clients' numbers."""

    version: str
    pid: int
    addresses: tuple[str, ...]
    clients: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """How far an act is, in objects; of a copy also in bytes.

    ``alone``: as far as is known nobody else had the target open for writing during the copy.
    """

    done: int = 0
    total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    alone: bool = True


@dataclass(frozen=True)
class VerifyProgress:
    """How far a verification is: bytes compared, the share of all (0 to 1), and a checkpoint."""

    bytes: int
    share: float
    verification: Verification


@dataclass(frozen=True)
class Published:
    """The target has its name: clients may use it, although the cutover goes on for a moment."""


@dataclass(frozen=True)
class Done:
    """The job was done."""

    answer: Answer


@dataclass(frozen=True)
class Failed:
    """The job was not done, or not to its end. ``errno`` is positive."""

    errno: int
    cause: Cause
    message: str = ""


@dataclass(frozen=True)
class GaveUp:
    """The worker ends in the middle of the job, as if killed; the message is for the user."""

    message: str


Event = Union[Progress, VerifyProgress, Published, Done, Failed, GaveUp]


@dataclass(frozen=True)
class FromJob:
    """An event of the job with this number."""

    number: int
    event: Event


Report = Union[Progress, VerifyProgress, Published]
Tell = Callable[[Report], None]
Ending = Union[Done, Failed]
Message = Union[Start, DoJob, SetRate, Hello, FromJob]


def encode_line(message: Message) -> bytes:
    """A message as it goes over the pipe."""
    return json.dumps(to_tagged(message), separators=(",", ":")).encode() + b"\n"


def decode_line(line: bytes) -> Message:
    """The inverse. Raises RecordError for anything that is not a message of this version."""
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError("a message is not JSON") from error
    message: Message = from_tagged(members(Message), plain, "message")
    return message
