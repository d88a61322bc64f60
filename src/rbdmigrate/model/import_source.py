"""The source of an import: an external source in place of a source image."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Optional
from urllib.parse import urlsplit

from .bounds import shortened
from .errors import MigrationError
from .mon_hosts import parse_mon_host
from .source_spec import SourceSpec, parse_source_spec

_TAIL = 14  # hex digits of an image id in librbd (24 of a block name, less "rbd_data.")
_MOST_CHANGES = 20  # sentences in a record
_MOST_MAKERS = 1000  # clients in a record
_RANDOM = 8  # hex digits at most of an image id that are random


@dataclass(frozen=True)
class ImageIdentity:
    """An image of another cluster by what survives renames.

    ``fsid`` is that of the cluster: the addresses of its monitors may lead to another one later.
    """

    fsid: str
    pool_id: int
    image_id: str


@dataclass(frozen=True)
class LaterSnapshot:
    """A later snapshot of the source that was asked for, and is not copied yet.

    ``spec`` is the source-spec with it, as that of an import. ``force``: also where clients may
    have written to the target.
    """

    spec: str
    force: bool = False


@dataclass(frozen=True)
class Import:
    """The source of an import, as stored in a record: without secrets.

    ``spec`` is the source-spec as JSON, with ``config://`` references in place of its secrets;
    ``secrets`` are the config-keys that the module stored for it and removes in the end.
    ``inline``: librbd gets the secrets themselves. ``host`` is the server it is read from, empty
    for files and images. ``size``: bytes of the disk, ``snapshots`` the names of its snapshots.
    ``identity``: for each stream, values that show whether it is still the same. ``changes``:
    sentences about changes during the copy. ``makers`` are the numbers of the RADOS clients that
    may have created the target: an image's id begins with the number of the client that created
    it, which proves the owner of a half-created target. ``later``: what it goes on to next.
    ``went_on``: what clients did to the source after the later snapshot that was copied last, a
    clause about it such as "clients wrote 4096 bytes to it"; empty: nothing. ``image``: the source
    of a migration from another cluster by the method ``warm``.
    """

    spec: str
    secrets: tuple[str, ...] = ()
    inline: bool = False
    host: str = ""
    size: Optional[int] = None
    snapshots: tuple[str, ...] = ()
    identity: dict[str, dict[str, str]] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    makers: tuple[int, ...] = ()
    later: Optional[LaterSnapshot] = None
    went_on: str = ""
    image: Optional[ImageIdentity] = None

    @property
    def source(self) -> SourceSpec:
        """The source-spec. Raises MigrationError for one that this version cannot read."""
        return parse_source_spec(self.spec)

    @property
    def wanted(self) -> SourceSpec:
        """The source-spec with the snapshot that was asked for last. Raises MigrationError."""
        return self.source if self.later is None else parse_source_spec(self.later.spec)

    @property
    def later_name(self) -> str:
        """The name of the later snapshot that it goes on to; empty where there is none."""
        return "" if self.later is None else str(_object(self.later.spec).get("snap_name") or "")

    def at_snapshot(self, name: str) -> str:
        """The source-spec of a native import with another snapshot. Raises MigrationError."""
        if name == self.source.snap_name:
            return self.spec
        return replace(self.source, snap_name=name, snap_id=None).to_json()

    @property
    def native(self) -> bool:
        """Whether it is a snapshot of an RBD image."""
        return bool(self.redacted().get("type") == "native")

    @property
    def outside(self) -> bool:
        """Whether it is read from outside this cluster."""
        return not self.native or "mon_host" in self.redacted()

    def redacted(self) -> dict[str, Any]:
        """The source-spec as it may be shown; empty where it cannot be read."""
        return _object(self.spec)

    def checksums(self) -> list[tuple[str, str]]:
        """The path of each stream that has to have a checksum, and that."""
        if '"checksum"' not in self.spec:  # as in most of thousands
            return []
        try:
            streams = list(self.source.streams())
        except MigrationError:  # of a later version
            return []
        return [(path, stream.checksum) for path, stream in streams if stream.checksum]

    def changed(self, sentences: Iterable[str]) -> Import:
        """Return it with more sentences about changes: the first ones, without duplicates."""
        found = dict.fromkeys((*self.changes, *(shortened(s) for s in sentences)))
        return replace(self, changes=tuple(found)[:_MOST_CHANGES])

    def to_be_made(self, clients: Iterable[int]) -> Import:
        """Return it with more clients that may create the target: the last ones.

        A failed prepare is repeated until it is cancelled, and the remains of earlier ones are
        removed first.
        """
        return replace(self, makers=tuple(dict.fromkeys((*self.makers, *clients)))[-_MOST_MAKERS:])

    def made(self, image_id: str) -> bool:
        """Whether the image was created by one of ``makers``."""
        return any(_made_by(image_id, client) for client in self.makers)


def _object(text: str) -> dict[str, Any]:
    """The object that a source-spec is; empty where it cannot be read."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _made_by(image_id: str, client: int) -> bool:
    """librbd's rule: the client's number and a random one, in hex, the last digits of both."""
    number = f"{client:x}"
    if image_id.startswith(number) and 0 < len(image_id) - len(number) <= _RANDOM:
        return True
    kept = [number[cut:] for cut in range(1, len(number)) if len(number) - cut >= _TAIL - _RANDOM]
    return len(image_id) == _TAIL and any(image_id.startswith(part) for part in kept)


def host_of(spec: SourceSpec) -> str:
    """The host that a source is read from; empty for files and images of this cluster."""
    for _, stream in spec.streams():
        if stream.type != "file":
            return urlsplit(stream.url or stream.uri).hostname or ""
    return parse_mon_host(spec.mon_host)[0].host if spec.mon_host is not None else ""
