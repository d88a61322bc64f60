"""A request for a migration: what to migrate, and where to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from errno import EINVAL
from typing import Optional

from .errors import MigrationError
from .layout import LayoutOptions
from .source_spec import SourceSpec
from .spec import ImageSpec
from .states import Method


def default_method(spec: Optional[SourceSpec]) -> Method:
    """The method where none is given. ``spec`` is the source of an import.

    Only ``copy`` imports the snapshots of an RBD image, and disks that librbd does not read; only
    ``warm`` follows an image of another cluster that clients use.
    """
    if spec is not None and spec.is_image:
        return Method.WARM
    copied = spec is not None and (spec.format == "native" or not spec.read_by_librbd)
    return Method.COPY if copied else Method.LIVE


@dataclass(frozen=True)
class MigrationRequest:
    """What was asked for.

    ``spec`` is the source of an import, with its secrets: ``source`` then is but a name for it.
    ``inline``: give librbd the secrets themselves. ``logged``: they were given in the
    command itself. ``force``: also where the image would be copied onto itself, unchanged.
    ``as_raw``: import the bytes of a file of another format as they are.
    ``asked_method``: the method that was asked for; None: the default. ``auto``: none was asked
    for, and the best one for the image is chosen.
    """

    source: ImageSpec
    target: ImageSpec
    layout: LayoutOptions = field(default_factory=LayoutOptions)
    spec: Optional[SourceSpec] = field(default=None, repr=False)
    inline: bool = False
    logged: bool = False
    force: bool = False
    as_raw: bool = False
    asked_method: Optional[Method] = None
    auto: bool = False

    @property
    def method(self) -> Method:
        """The method for copying it."""
        return self.asked_method or default_method(self.spec)

    def by(self, method: Optional[Method], *, auto: bool = False) -> MigrationRequest:
        """The request with the method that was asked for. Raises MigrationError(EINVAL).

        ``auto``: choose one for an image where none is asked for; imports have a default.
        """
        followed = self.spec is not None and self.spec.is_image
        if method is Method.WARM and self.spec is not None and not followed:
            raise MigrationError(
                EINVAL,
                "The method warm is for images, whose clients change to the target at a cutover, "
                "and the source of an import has none; leave out --method warm, or, for an image "
                "of another cluster, its snapshot.",
            )
        if method in (Method.COPY, Method.LIVE) and followed:
            raise MigrationError(
                EINVAL,
                f"The method {method.value} imports a snapshot, and the source is an image as a "
                "whole; add snap_name to the source-spec, or leave out --method, and it is "
                "migrated by the method warm.",
            )
        if method is Method.COPY and self.spec is None:
            raise MigrationError(EINVAL, "The method copy is for imports; leave out --method copy.")
        if method is Method.LIVE and self.spec is not None and self.spec.mon_host is not None:
            raise MigrationError(
                EINVAL,
                "The method live does not import from another cluster, because librbd would copy "
                "the image's head in place of the snapshot; leave out --method live.",
            )
        if method is Method.LIVE and self.spec is not None and not self.spec.read_by_librbd:
            raise MigrationError(
                EINVAL,
                f"librbd does not {self.spec.unknown_to_librbd}, which the method live would need "
                "for this source; leave out --method live.",
            )
        chosen_later = auto and method is None and self.spec is None
        return replace(self, asked_method=method, auto=chosen_later)

    @property
    def rbd_source(self) -> ImageSpec:
        """The source as the commands of its own cluster name it."""
        if self.spec is None or not self.spec.is_image:
            return self.source
        pool = self.spec.pool_name or f"POOL-{self.spec.pool_id}"
        return ImageSpec(pool, self.spec.pool_namespace or "", self.spec.image_name or "")

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
