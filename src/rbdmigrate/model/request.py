"""A request for a migration: what to migrate, and where to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from .layout import LayoutOptions
from .source_spec import SourceSpec
from .spec import ImageSpec


@dataclass(frozen=True)
class MigrationRequest:
    """What was asked for.

    ``spec`` is the source of an import, with its secrets: ``source`` then is but a name for it.
    ``inline``: give librbd the secrets themselves. ``logged``: they were given in the
    command itself. ``force``: also where the image would be copied onto itself, unchanged.
    ``as_raw``: import the bytes of a file of another format as they are.
    """

    source: ImageSpec
    target: ImageSpec
    layout: LayoutOptions = field(default_factory=LayoutOptions)
    spec: Optional[SourceSpec] = field(default=None, repr=False)
    inline: bool = False
    logged: bool = False
    force: bool = False
    as_raw: bool = False

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
