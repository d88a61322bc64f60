"""The input of the checks: plain data, gathered without changing anything."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from ..model.layout import LayoutOptions
from ..model.migration import Place
from ..model.obstacles import Obstacles
from ..model.pool import Pool
from ..model.source_spec import SourceSpec
from ..model.spec import ImageSpec
from ..model.untrimmed import Untrimmed
from ..model.verification import Verify
from ..sources import Inspection


@dataclass(frozen=True)
class MigrationRequest:
    """The requested migration.

    ``spec`` is the source of an import, with its secrets; ``source`` is then only a name for it.
    ``inline``: librbd gets the secrets themselves. ``logged``: they were given in the command
    itself. ``force``: also if the image would be copied onto itself, unchanged.
    """

    source: ImageSpec
    target: ImageSpec
    layout: LayoutOptions = field(default_factory=LayoutOptions)
    spec: Optional[SourceSpec] = field(default=None, repr=False)
    inline: bool = False
    logged: bool = False
    force: bool = False

    @property
    def in_place(self) -> bool:
        """The image keeps its name, only its layout changes."""
        return self.source == self.target

    @property
    def pools(self) -> tuple[str, ...]:
        """Every named pool, without duplicates."""
        layout = self.layout
        named = (self.source.pool, self.target.pool, layout.data_pool, layout.journal_pool)
        return tuple(dict.fromkeys(pool for pool in named if pool))

    @property
    def data_pool(self) -> str:
        """The pool that takes the target's data."""
        return self.layout.data_pool or self.target.pool


@dataclass(frozen=True)
class Name:
    """The state of an image name.

    ``exists``: an image has it. ``role``: that image is the ``source`` or the ``target`` of a
    migration whose other end is ``other``. ``reserved_for``: the target of a migration whose
    source, now in the trash, has this name. ``trashed``: the id of an image of this name that a
    user put into the trash. ``old_format``: it is an image of format 1.
    """

    place: Place
    exists: bool = False
    role: str = ""
    other: Optional[ImageSpec] = None
    reserved_for: Optional[ImageSpec] = None
    trashed: str = ""
    old_format: bool = False


@dataclass(frozen=True)
class User:
    """A client that has the image open for writing. ``kernel``: it is krbd."""

    client: int
    address: str
    lock: bool = False
    kernel: bool = False


@dataclass(frozen=True)
class Snapshot:
    """A snapshot."""

    name: str
    protected: bool = False


@dataclass(frozen=True)
class InvalidMap:
    """An object map that librbd flagged as invalid. ``snapshot``: its name; empty: of the head.

    ``flags`` as ``rbd info`` shows them: ``object map invalid``, ``fast diff invalid``.
    """

    snapshot: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    """The source. Bytes; ``to_copy`` (head and snapshots) None: not known.

    ``clones``: the number of clones of its snapshots, ``clone_names``: some of them, as
    pool/namespace/image. ``silent_pools``: those that did not answer whether they hold clones.

    ``features`` by name, ``luks`` the format of its encryption, ``parent`` an image spec.
    ``untrimmed``: objects that librbd would copy incorrectly until OSDs have trimmed removed
    snapshots. ``invalid_maps``: the object maps that librbd has flagged as invalid. ``data_pool``:
    the pool with its data, if other than the one with its header.
    """

    size: int = 0
    object_size: int = 4 << 20
    stripe_unit: int = 4 << 20
    stripe_count: int = 1
    features: frozenset[str] = frozenset()
    snapshots: tuple[Snapshot, ...] = ()
    clones: int = 0
    clone_names: tuple[str, ...] = ()
    silent_pools: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    group: str = ""
    mirror_mode: Optional[int] = None
    luks: str = ""
    parent: str = ""
    parent_pool: str = ""
    to_copy: Optional[int] = None
    untrimmed: Optional[Untrimmed] = None
    obstacles: Obstacles = field(default_factory=Obstacles)
    invalid_maps: tuple[InvalidMap, ...] = ()
    data_pool: str = ""


@dataclass(frozen=True)
class RbdClient:
    """A client's key and its capabilities, by kind of daemon (``mon``, ``osd`` ...)."""

    name: str
    caps: Mapping[str, str]

    @property
    def osd(self) -> str:
        """Its capabilities on OSDs."""
        return self.caps.get("osd", "")

    @property
    def reads_config_keys(self) -> bool:
        """Whether it may read config-keys, by the text of its capabilities."""
        mon = self.caps.get("mon", "")
        return "allow *" in mon or "config-key" in mon

    def command_adding(self, kind: str, more: str) -> str:
        """The ``ceph auth caps`` command that adds to a capability and keeps the others."""
        had = self.caps.get(kind, "")
        after = {**self.caps, kind: f"{had}, {more}" if had else more}
        texts = [f"{daemon} {shlex.quote(text)}" for daemon, text in after.items()]
        return f"ceph auth caps {shlex.quote(self.name)} {' '.join(texts)}"


@dataclass(frozen=True)
class Facts:
    """All facts about a request. A pool that is None in ``pools`` does not exist.

    ``image`` is None where ``names`` and ``pools`` show that the source cannot be opened.
    ``inspection`` is that of an import's source, ``source_pool_id`` the pool of a native one.
    ``clients``: all keys of clients, with their capabilities. ``trash_of_users``: the trash of the
    source's pool and namespace holds images that users put there. ``verify``: the default verify
    mode of the image. ``release`` of Ceph: major, minor, patch. ``caps`` of the manager by daemon;
    empty: not known.
    """

    wish: MigrationRequest
    pools: Mapping[str, Optional[Pool]]
    missing_namespaces: frozenset[tuple[str, str]] = frozenset()
    source: Optional[Name] = None
    target: Optional[Name] = None
    image: Optional[Image] = None
    inspection: Optional[Inspection] = None
    source_pool_id: int = -1
    verify: Verify = Verify.NONE
    clients: tuple[RbdClient, ...] = ()
    trash_of_users: bool = False

    @property
    def to_copy(self) -> Optional[int]:
        """Bytes that a copy would have to move; None: not known."""
        if self.image is not None:
            return self.image.to_copy
        found = self.inspection
        if found is None or found.size is None:
            return None
        if found.to_copy is not None:
            return found.to_copy
        return found.size + sum(snapshot.size for snapshot in found.snapshots)

    release: tuple[int, int, int] = (0, 0, 0)
    caps: Mapping[str, str] = field(default_factory=dict)
