"""Lists of disks outside of the cluster, as plans name them, and what is read of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .source import SourceSpec, StreamSpec
from .states import Method

MAX_LISTED = 10_000
"""The most disks of one list."""


@dataclass(frozen=True)
class ListRow:
    """A disk of a list.

    ``source``: a URL, a path, or a name relative to the list. What is empty is as the list or the
    plan says. ``target`` is the bare name of an image. ``as_raw``: see ``MigrationRequest``. All
    else is as in a ``StreamSpec``.
    """

    source: str
    format: str = ""
    target: str = ""
    method: Optional[Method] = None
    as_raw: bool = False
    compression: str = ""
    size: int = 0
    member: str = ""
    checksum: str = ""


@dataclass(frozen=True)
class SourceList:
    """A folder, bucket or web page whose files are disks, or a ``manifest`` that names them.

    ``stream``: where it is; None: it is in the plan, as ``rows``. ``format``: the type of the
    sources, where a manifest says nothing else. ``name`` and ``exclude``: globs of the names of
    files. ``method`` None: as the plan says. ``passphrase``: as in a source-spec.
    """

    stream: Optional[StreamSpec] = None
    manifest: bool = False
    format: str = ""
    name: str = "*"
    exclude: tuple[str, ...] = ()
    method: Optional[Method] = None
    passphrase: str = ""
    rows: tuple[ListRow, ...] = ()

    def spec(self) -> SourceSpec:
        """A source-spec with the references of the list, which every disk of it may have."""
        return SourceSpec("qcow", self.stream, passphrase=self.passphrase)

    @property
    def label(self) -> str:
        """A name for people."""
        return self.stream.location if self.stream is not None else "the manifest in the plan"


@dataclass(frozen=True)
class ListRead:
    """What a list has. ``base``: the URL or the path that names in it are relative to.

    ``names``: the files of a folder, as a URL has them where it is one. ``rows``: of a manifest.
    """

    base: str
    names: tuple[str, ...] = ()
    rows: tuple[ListRow, ...] = ()
