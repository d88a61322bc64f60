"""What is known of guests, their disks and the exchange of one disk."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any, Optional

from rbdmigrate.model.codec import from_plain, to_plain
from rbdmigrate.model.errors import RecordError

from .errors import GuestError

Options = dict[str, Any]
"""Options of a block node, as QEMU's command ``blockdev-add`` takes them."""


@dataclass(frozen=True)
class ImageLocation:
    """An RBD image by its name."""

    pool: str
    namespace: str
    image: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.pool, self.namespace, self.image) if part)


@dataclass(frozen=True)
class GuestDisk:
    """A disk of a guest that is an RBD image."""

    device: str
    """The path of the device in QEMU's object model; empty where no device uses the image."""
    leaf: str
    """The block node that has the image open. Names that begin with ``#`` are QEMU's own."""
    above: str
    """The node between the device and the leaf; empty if there is none."""
    location: ImageLocation
    user: str
    """The cephx user, without ``client.``; empty for the default one."""
    conf: str
    """The configuration file; empty for the default one."""
    size: int
    """In bytes."""
    read_only: bool
    fixed: str = ""
    """Why this disk cannot be exchanged, as one sentence; empty if it can."""


@dataclass(frozen=True)
class Process:
    """What tells one QEMU from any other, and how it is reached."""

    name: str
    uuid: str
    pid: int
    started: int
    connection: str


@dataclass(frozen=True)
class Guest:
    """A running QEMU."""

    name: str
    uuid: str
    pid: int
    started: int
    """When the process was started, in clock ticks since boot: pids are used again."""
    status: str
    """As QEMU calls it: ``running``, ``paused``, ``io-error`` ..."""
    disks: tuple[GuestDisk, ...]
    connection: str
    """The path of its QMP socket, or the URI of libvirt."""
    on_placeholder: tuple[str, ...] = ()
    """The devices that an exchange of ours has taken from their image and not given one yet."""
    defined_by: str = ""
    """Who else decides what its next start opens, such as ``OpenStack Nova``; empty: nobody."""

    @property
    def process(self) -> Process:
        return Process(self.name, self.uuid, self.pid, self.started, self.connection)

    @property
    def called(self) -> str:
        """How messages name it."""
        return f"guest {self.name or self.uuid}"


@dataclass(frozen=True)
class Failure:
    """A guest, or a connection, that could not be asked."""

    connection: str
    reason: str


@dataclass(frozen=True)
class Inventory:
    """All guests that answered, and what did not."""

    guests: tuple[Guest, ...]
    failures: tuple[Failure, ...]


class Side(enum.Enum):
    """The two images of an exchange, which have the same name in a migration in place."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True)
class DiskExchange:
    """All that it takes to close the image of a disk and to open another.

    It is stored before the guest is paused, so that a restarted agent can carry on. It names
    secrets as QEMU does, by the names of QEMU's objects, and holds none.
    """

    guest: str
    uuid: str
    pid: int
    started: int
    connection: str
    was: str
    """The guest's status when this was planned: only a guest that ran is continued."""
    device: str
    leaf: str
    """The leaf's node at first."""
    opens_as: str
    """The leaf's node from the first exchange on: the same, if it had a name of its own."""
    above: str
    above_options: str
    """JSON: the options of the node above, without its ``file``."""
    leaf_options: str
    """JSON: the options of the leaf, without the image and the node's name."""
    source: ImageLocation
    target: ImageLocation
    size: int
    """In bytes: the target has to be as large."""
    placeholder: str
    """The node that takes the leaf's place meanwhile."""
    marker: str
    """A node that stands for "the leaf is the target" for as long as this QEMU runs."""

    def __post_init__(self) -> None:
        for text in (self.leaf_options, self.above_options):
            _options(text)

    @property
    def process(self) -> Process:
        return Process(self.guest, self.uuid, self.pid, self.started, self.connection)

    def options(self, location: ImageLocation) -> Options:
        """The options with which the leaf opens the image ``location``."""
        place = {"pool": location.pool, "image": location.image}
        if location.namespace:
            place["namespace"] = location.namespace
        return {**_options(self.leaf_options), **place, "node-name": self.opens_as}

    def options_above(self, file: str) -> Options:
        """The options of the node above, over the node ``file``."""
        return {**_options(self.above_options), "node-name": self.above, "file": file}

    def location(self, side: Side) -> ImageLocation:
        return self.source if side is Side.SOURCE else self.target

    def to_json(self) -> str:
        return json.dumps(to_plain(self))

    @classmethod
    def from_json(cls, text: str) -> DiskExchange:
        """The inverse of :meth:`to_json`. Raises GuestError."""
        try:
            return from_plain(cls, json.loads(text), "exchange")
        except (ValueError, RecursionError, RecordError) as error:
            raise GuestError(f"The stored exchange of a disk cannot be read: {error}.") from error


class Where(enum.Enum):
    """What the disk of a guest is, during an exchange."""

    SOURCE = "source"
    PLACEHOLDER = "placeholder"
    TARGET = "target"
    ELSEWHERE = "elsewhere"
    """Something that the exchange did not make: leave it alone."""
    GONE = "gone"
    """This QEMU has ended."""


@dataclass(frozen=True)
class Position:
    """How far an exchange is."""

    where: Where
    open: Optional[ImageLocation] = None
    """The image that QEMU has open for this disk, also while the guest uses the placeholder."""
    status: str = ""
    """The guest's status now."""


def _options(text: str) -> Options:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GuestError("The options of a block node are not JSON.") from error
    if not isinstance(found, dict):
        raise GuestError("The options of a block node are not an object.")
    return found
