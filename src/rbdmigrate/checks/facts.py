"""What is known when checks run: plain data, gathered without changing anything."""

from __future__ import annotations

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
    """What was asked for.

    ``spec`` is the source of an import, with its secrets: ``source`` then is but a name for it.
    ``inline``: the secrets are to be given to librbd themselves. ``logged``: they were given in the
    command itself. ``force``: also where the image would be copied onto itself, unchanged.
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
        """Every pool that is named, each once."""
        layout = self.layout
        named = (self.source.pool, self.target.pool, layout.data_pool, layout.journal_pool)
        return tuple(dict.fromkeys(pool for pool in named if pool))

    @property
    def data_pool(self) -> str:
        """The pool that takes the target's data."""
        return self.layout.data_pool or self.target.pool


@dataclass(frozen=True)
class Name:
    """What is at an image's name.

    ``exists``: an image is. ``role``: it is the ``source`` or the ``target`` of a migration whose
    other end is ``other``. ``reserved_for``: an image of this name is the source of a migration to
    there, and lies in the trash meanwhile. ``trashed``: the id of an image of this name that a user
    put into the trash. ``old_format``: it is an image of format 1.
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
class Image:
    """The source. Bytes; ``to_copy`` (head and snapshots) None: not known.

    ``clones``: how many its snapshots have, ``clone_names``: some of them, as pool/namespace/image.
    ``silent_pools``: those that did not say whether they hold clones.

    ``features`` by name, ``luks`` the format of its encryption, ``parent`` an image spec.
    ``untrimmed``: what librbd would copy wrong until OSDs have trimmed removed snapshots.
    ``map_invalid``: librbd has flagged an object map of it, or of a snapshot, as wrong.
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
    map_invalid: bool = False


@dataclass(frozen=True)
class RbdClient:
    """A client's key and what it allows on monitors and OSDs."""

    name: str
    mon: str
    osd: str

    @property
    def reads_config_keys(self) -> bool:
        """Whether it may read config-keys, as far as the text tells."""
        return "allow *" in self.mon or "config-key" in self.mon


@dataclass(frozen=True)
class Facts:
    """Everything. A pool that is None in ``pools`` does not exist.

    ``image`` is None where the source cannot be opened for what ``names`` and ``pools`` tell.
    ``inspection`` is what was found about the source of an import, ``source_pool_id`` the pool of
    a native one. ``clients``: those that may use the target's pool.
    ``verify``: what is compared of it before a commit when nobody says.
    ``release`` of Ceph: major, minor, patch. ``caps`` of the manager by daemon; empty: not known.
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

    @property
    def to_copy(self) -> Optional[int]:
        """Bytes that a copy would have to move, as far as that is known."""
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
