"""The observed state of source and target, from image headers: the input of every decision."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Optional


class HeaderState(enum.IntEnum):
    """librbd's migration state in an image header (cls_rbd_types.h, MigrationState)."""

    ERROR = 0
    PREPARING = 1
    PREPARED = 2
    EXECUTING = 3
    EXECUTED = 4
    ABORTING = 5


USABLE = frozenset({HeaderState.PREPARED, HeaderState.EXECUTING, HeaderState.EXECUTED})
"""The states in which clients use the target."""


@dataclass(frozen=True)
class MigrationHeader:
    """The migration part of an image's header: source or target, and where the other one is.

    ``snapshots``: the ids of the source's snapshots, with their ids on the target.
    """

    is_source: bool
    pool_id: int
    namespace: str
    image: str
    image_id: str
    state: HeaderState
    description: str = ""
    import_only: bool = False
    source_spec: str = field(default="", repr=False)  # may hold secrets
    flatten: bool = False
    mirroring: bool = False
    mirror_mode: int = 0
    snapshots: tuple[tuple[int, int], ...] = ()
    overlap: int = 0  # on a target: the size of the source when it was prepared, in bytes

    @property
    def old_format_source(self) -> bool:
        """Whether this is the target of an image of format 1, which has no id."""
        return not self.is_source and not self.import_only and not self.image_id


@dataclass(frozen=True)
class ImageView:
    """The source or target of a migration as observed.

    ``listed``: its name is in the pool's directory. ``trashed``: it lies in the trash, put there
    by a migration; one of format 1 is then just not listed. ``header``: its migration header, if
    it has one. ``exists``: it has a header object at all, and is not only a left-over name.
    ``trashed_by_user``: somebody moved it to the trash with ``rbd trash mv`` or the like.
    """

    image_id: str
    name: str
    listed: bool
    trashed: bool
    header: Optional[MigrationHeader]
    exists: bool = True
    trashed_by_user: bool = False


@dataclass(frozen=True)
class TargetNow:
    """A target whose data is not all copied. Sizes are in bytes.

    ``prepared_size``: its size when it was prepared, 0 if that is not known. ``snapshots``: the
    number of users' snapshots that were migrated; ``removed``: the names of those that are gone,
    and of the comparison snapshot if it is gone.
    """

    size: int
    prepared_size: int
    snapshots: int
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamesNow:
    """Where the names of a migration by the method ``warm`` lead.

    ``source``: its name leads to the source. ``target``: its name leads to the target, which is
    what a cutover does. ``complete``: the directory and the trash say the same.
    """

    source: bool
    target: bool
    complete: bool


@dataclass(frozen=True)
class Observation:
    """Source and target. None: no such image. ``source_gone``/``target_gone``: even the pool or
    the namespace is gone. The pools' names are the current ones; empty if not known.
    ``target_now``: None where it was not observed. ``names``: of the method ``warm`` only.
    """

    source: Optional[ImageView]
    target: Optional[ImageView]
    source_gone: bool = False
    target_gone: bool = False
    source_pool: str = ""
    target_pool: str = ""
    target_now: Optional[TargetNow] = None
    names: Optional[NamesNow] = None
