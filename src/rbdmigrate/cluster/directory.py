"""The images of a pool and namespace, read from the directory without opening any."""

from __future__ import annotations

from collections.abc import Iterator

import rados

from ..model.plan import Candidate, Selector
from ..model.spec import ImageSpec
from . import headers, old_format
from .denc import Decoder
from .omap import omap_pages
from .pools import open_ioctx, require_namespace

_NAME = "name_"


def names(client: rados.Rados, where: ImageSpec) -> Iterator[str]:
    """Return the names of the images in the pool and namespace of ``where``, of both formats.

    One read for 256 names. Raises MigrationError(ENOENT) and ``rados.Error``.
    """
    require_namespace(client, where.pool, where.namespace)
    with open_ioctx(client, where.pool, where.namespace) as ioctx:
        for key, _ in omap_pages(ioctx, "rbd_directory", _NAME):
            yield key[len(_NAME) :]
        yield from old_format.names(ioctx)


def candidates(client: rados.Rados, selector: Selector) -> Iterator[Candidate]:
    """Return the images for ``selector`` with the properties that it needs.
    MigrationError(ENOENT).

    One read for 256 names, and one for each image if the selector needs sizes or labels. Images of
    format 1 have no labels.
    """
    require_namespace(client, selector.pool, selector.namespace)
    with open_ioctx(client, selector.pool, selector.namespace) as ioctx:
        for key, raw in omap_pages(ioctx, "rbd_directory", _NAME):
            ident = Decoder(raw).string()
            yield Candidate(
                name=key[len(_NAME) :],
                size=headers.size(ioctx, ident) if selector.sized else 0,
                label=headers.metadata(ioctx, ident, selector.label) if selector.label else None,
            )
        for name in old_format.names(ioctx):
            old = old_format.ident_of(ioctx, name) if selector.sized else None
            yield Candidate(name, headers.size(ioctx, old) if old else 0, None)
