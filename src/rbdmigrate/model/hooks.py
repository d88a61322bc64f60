"""Hooks: web servers that are told of migrations, their messages, and the questions to them."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Optional, TypeVar, Union

from .bounds import MAX_RECORD, shortened
from .codec import dumped, from_plain, loaded, readable, to_plain

SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DEFINITIONS = "rbd/migration-hook/"
"""The config-keys of the hooks themselves begin so."""

SECRETS = "rbd/migration-hook-secret/"
"""The config-keys that an administrator may name as secrets of hooks begin so."""

OWN_SECRETS = "rbd/migration-hook-own/"
"""The config-keys of secrets that were given with a hook, and go with it, begin so."""

TIMEOUT = 10.0  # seconds, unless the administrator gives another
LEAST_TIMEOUT, LONGEST_TIMEOUT = 1.0, 60.0  # seconds
MAX_SECRET = 4096  # characters


class HookEvent(str, enum.Enum):
    """What a hook is told. ``before_`` events are questions, which it may answer with a veto."""

    BEFORE_CUTOVER = "before_cutover"
    AFTER_CUTOVER = "after_cutover"
    CUTOVER_FAILED = "cutover_failed"
    EXECUTED = "executed"
    BEFORE_COMMIT = "before_commit"
    COMMITTED = "committed"
    ABORTED = "aborted"
    FAILED = "failed"
    PLAN_DONE = "plan_done"
    TEST = "test"

    @property
    def asks(self) -> bool:
        """Whether the migration waits for the answer."""
        return self in (HookEvent.BEFORE_CUTOVER, HookEvent.BEFORE_COMMIT)


SUBSCRIBED = tuple(event for event in HookEvent if event is not HookEvent.TEST)
"""The events that a hook may ask for."""


@dataclass(frozen=True)
class Hook:
    """A web server that the administrator registered.

    ``secret`` is the config-key of the text that signs its messages; ``own_secret``: it was stored
    with the hook, and goes with it. ``pool``: only migrations from or to it (empty: all).
    ``timeout``: seconds for one message and its answer. ``ca``: certificates in PEM that are
    trusted instead of the system's.
    """

    name: str
    url: str
    events: tuple[HookEvent, ...]
    secret: str
    own_secret: bool = False
    pool: str = ""
    timeout: float = TIMEOUT
    ca: str = ""
    created: float = 0.0


@dataclass(frozen=True)
class Delivery:
    """A message to a hook that was not taken yet.

    ``id`` stays the same however often it is sent. ``about`` is the id of the migration, or the
    name of the plan; ``question`` the id of the question that it asks. ``failures``: how often
    sending it failed, the last time for the reason ``message``. ``due``: not to be sent before.
    """

    id: str
    hook: str
    event: HookEvent
    about: str
    body: str
    created: float
    question: str = ""
    failures: int = 0
    due: float = 0.0
    message: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shortened(self.message))


@dataclass(frozen=True)
class Question:
    """A question about a migration to hooks, which the migration waits for.

    ``agreed``: those of ``hooks`` that said yes. ``first``: when one did for the first time,
    ``ready``: when all had; ``at`` is when it was asked (seconds since the epoch).
    """

    id: str
    event: HookEvent
    at: float
    hooks: tuple[str, ...]
    agreed: tuple[str, ...] = ()
    first: Optional[float] = None
    ready: Optional[float] = None


_T = TypeVar("_T", Hook, Delivery)


def encode(record: Union[Hook, Delivery]) -> bytes:
    """Return the stored form, after a check that it can be read back. Raises MigrationError."""
    raw = dumped(to_plain(record), SCHEMA)
    what = f"the hook {record.name}" if isinstance(record, Hook) else f"the message {record.id}"
    readable(raw, what, MAX_RECORD, lambda: from_plain(type(record), loaded(raw, SCHEMA)))
    return raw


def decode(cls: type[_T], raw: bytes) -> _T:
    """Return the Hook or Delivery of a stored form. RecordError if this version cannot read it."""
    return from_plain(cls, loaded(raw, SCHEMA))
