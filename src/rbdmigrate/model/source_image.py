"""An image as preflight sees it, before it becomes the source of a migration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from .obstacles import Obstacles
from .untrimmed import Untrimmed
from .watchers import Watcher


@dataclass(frozen=True)
class Snapshot:
    """A snapshot."""

    name: str
    protected: bool = False


@dataclass(frozen=True)
class InvalidMap:
    """An object map that librbd flagged as wrong. ``snapshot``: its name; empty: of the head.

    ``flags`` as ``rbd info`` shows them: ``object map invalid``, ``fast diff invalid``.
    """

    snapshot: str
    flags: tuple[str, ...]


LUKS_OF_CLONE = b"RBDL"
"""How a clone begins that librbd encrypted itself, from release 17 on."""

LUKS = (b"LUKS", LUKS_OF_CLONE)
"""How an encrypted image begins."""


@dataclass(frozen=True)
class SourceImage:
    """The source. Bytes; ``to_copy`` (head and snapshots) None: not known.

    ``clones``: how many its snapshots have, ``clone_names``: some of them, as pool/namespace/image.
    ``silent_pools``: those that did not say whether they hold clones.

    ``features`` by name, ``luks`` the format of its encryption, ``parent`` an image spec.
    ``parent_trashed``: the parent is in the trash.
    ``untrimmed``: what librbd would copy wrong until OSDs have trimmed removed snapshots.
    ``invalid_maps``: the object maps that librbd has flagged as wrong.
    ``data_pool``: the pool with its data where that is not the one with its header.
    ``group`` is ``<pool id>/<name>``, ``group_spec`` names it as commands do.
    ``own_encryption``: a clone that was formatted with LUKS itself, over data of its parent.
    ``cache_dirty``: a persistent write-back cache holds writes that are not in the image.
    ``all_snapshot_count``: all snapshots, also those that are not a user's; ``snapshot_limit``: how
    many there may be, None for any number.
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
    users: tuple[Watcher, ...] = ()
    group: str = ""
    mirror_mode: Optional[int] = None
    luks: str = ""
    parent: str = ""
    parent_pool: str = ""
    parent_trashed: bool = False
    to_copy: Optional[int] = None
    untrimmed: Optional[Untrimmed] = None
    obstacles: Obstacles = field(default_factory=Obstacles)
    invalid_maps: tuple[InvalidMap, ...] = ()
    data_pool: str = ""
    group_spec: str = ""
    own_encryption: bool = False
    cache_dirty: bool = False
    all_snapshot_count: int = 0
    snapshot_limit: Optional[int] = None
