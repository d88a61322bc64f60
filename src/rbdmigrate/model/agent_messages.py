"""What the agent on a hypervisor host and the manager tell each other.

An agent sends one request (a member of ``Request``) as JSON and gets one answer. Every request
names what it is about, so that a manager that just became active can answer it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from errno import EINVAL
from typing import Optional, Union

from .codec import from_tagged, to_tagged
from .errors import MigrationError, RecordError
from .spec import ImageSpec

MAX_REQUEST = 4 << 20  # bytes; an inventory of some 10,000 disks


@dataclass(frozen=True)
class OpenDisk:
    """A disk of a guest that is an RBD image. ``reason``: why it cannot be exchanged, or empty."""

    image: ImageSpec
    device: str = ""
    reason: str = ""


@dataclass(frozen=True)
class OpenGuest:
    """A guest. ``ident`` is its UUID. ``renames``: its definition can be given another image name.

    ``status`` is QEMU's, such as ``running`` or ``paused``.
    """

    name: str
    ident: str
    status: str
    disks: tuple[OpenDisk, ...]
    renames: bool = False


@dataclass(frozen=True)
class Inventory:
    """All guests of a host. ``problems``: a sentence for each guest that could not be asked."""

    version: str
    guests: tuple[OpenGuest, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """The agent has prepared all that it can, and asks whether to pause the guest now."""

    token: str
    guest: str
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Released:
    """The guest is paused, and none of the images of ``migrations`` is open any more."""

    token: str
    guest: str
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """Ask what became of it."""

    token: str
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Withdraw:
    """The pause took too long: undo what can still be undone, and say what the guest can open."""

    token: str
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Resumed:
    """The guest goes on after ``pause`` seconds. ``notes``: what is left to do, in sentences."""

    token: str
    guest: str
    migrations: tuple[str, ...]
    pause: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declined:
    """The agent cannot exchange the disks; nothing was changed."""

    guest: str
    migrations: tuple[str, ...]
    reason: str


Request = Union[Inventory, Ready, Released, Outcome, Withdraw, Resumed, Declined]


@dataclass(frozen=True)
class DiskMove:
    """One disk that is due: the guest has ``source`` open and is to open ``target``.

    ``back``: that is the target of the migration and its source, for the way back. ``copy``: the
    name that the target has until then, to try whether the guest may open it.
    """

    migration: str
    source: ImageSpec
    target: ImageSpec
    back: bool = False
    copy: Optional[ImageSpec] = None


@dataclass(frozen=True)
class GuestMove:
    """All disks of a guest that are due; they move in one pause, of ``max_pause`` seconds."""

    guest: str
    disks: tuple[DiskMove, ...]
    max_pause: float


@dataclass(frozen=True)
class Orders:
    """What to do now, and in how many seconds to ask again."""

    interval: float
    moves: tuple[GuestMove, ...] = ()


@dataclass(frozen=True)
class Go:
    """Whether to pause the guest now; if not, ``reason`` says why.

    ``again``: in how many seconds to ask again; 0: do not.
    """

    go: bool
    reason: str = ""
    again: float = 0.0


@dataclass(frozen=True)
class DiskOutcome:
    """``image``: what the guest is to open; None: not decided yet. ``moved``: it is the migration's
    target.
    """

    migration: str
    image: Optional[ImageSpec]
    moved: bool = False


@dataclass(frozen=True)
class Outcomes:
    """What became of a pause, disk by disk. ``message``: why disks stay on their source."""

    disks: tuple[DiskOutcome, ...]
    message: str = ""

    @property
    def decided(self) -> bool:
        """Whether the guest can go on."""
        return all(disk.image is not None for disk in self.disks)


Answer = Union[Orders, Go, Outcomes]

_REQUESTS = (Inventory, Ready, Released, Outcome, Withdraw, Resumed, Declined)
_ANSWERS = (Orders, Go, Outcomes)


def encode(message: Union[Request, Answer]) -> str:
    """The message as JSON: an object whose only key is its kind."""
    return json.dumps(to_tagged(message))


def decode_request(text: str) -> Request:
    """The request of an agent. Raises MigrationError(EINVAL)."""
    if len(text) > MAX_REQUEST:
        raise MigrationError(EINVAL, f"The agent's message has more than {MAX_REQUEST} bytes.")
    try:
        request: Request = from_tagged(_REQUESTS, json.loads(text), "message")
    except (ValueError, RecursionError, RecordError) as error:
        raise MigrationError(
            EINVAL,
            f"The agent's message cannot be read ({error}); agent and module have to be of the "
            "same version.",
        ) from error
    return request


def decode_answer(text: str) -> Answer:
    """The manager's answer. Raises RecordError."""
    try:
        answer: Answer = from_tagged(_ANSWERS, json.loads(text), "answer")
    except (ValueError, RecursionError) as error:
        raise RecordError("the manager's answer is not JSON") from error
    return answer
