"""Questions that only a worker can answer, one dataclass each. They change nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Union

from ..import_policy import ImportPolicy
from ..migration import Place
from ..source_list import SourceList
from ..states import Method
from .acts import ImportEnds


@dataclass(frozen=True)
class Examine:
    """What must be known of an image before it is acted on; answered by ``Examined``.

    ``blind``: without opening the image, because librbd would open its source too. ``fenced``:
    addresses of our dead workers, which do not count as users.
    """

    name: ClassVar[str] = "examine"
    image: Place
    blind: bool = False
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class FindUsers:
    """Which clients have one of the images open for writing; answered by ``UsersFound``."""

    name: ClassVar[str] = "find_users"
    images: tuple[Place, ...]
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class FindClosed:
    """Which of the images no client has open for writing; answered by ``ClosedImages``."""

    name: ClassVar[str] = "find_closed"
    images: tuple[Place, ...]
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class FindClosedSources:
    """The same for sources in other clusters, by how they are reached; ``ClosedImages`` too."""

    name: ClassVar[str] = "find_closed_sources"
    sources: tuple[ImportEnds, ...]


@dataclass(frozen=True)
class MeasureWritten:
    """What clients wrote since a snapshot, by its name; answered by ``WrittenSince``."""

    name: ClassVar[str] = "measure_written"
    image: Place
    snapshot: str


@dataclass(frozen=True)
class InspectImage:
    """What preflight wants to know of a source image; answered by ``SourceImage``.

    ``flatten``: the parent's data are to be copied too.
    """

    name: ClassVar[str] = "inspect_image"
    image: Place
    flatten: bool = False
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class InspectSource:
    """What an external source is; answered by ``Inspection``.

    ``spec`` is the source-spec as JSON, with its secrets. ``seconds``: how long it may take.
    ``pool_id``: the pool of the target.
    ``method``: how it would be copied. ``own_keys``: the config-keys that the module stored for it.
    """

    name: ClassVar[str] = "inspect_source"
    spec: str = field(repr=False)
    policy: ImportPolicy
    seconds: float
    pool_id: int = -1
    method: Method = Method.LIVE
    own_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadList:
    """What a list of disks names; answered by ``ListRead``. ``seconds``: how long it may take."""

    name: ClassVar[str] = "read_list"
    source: SourceList
    policy: ImportPolicy
    seconds: float


Question = Union[
    Examine,
    FindUsers,
    FindClosed,
    FindClosedSources,
    MeasureWritten,
    InspectImage,
    InspectSource,
    ReadList,
]
