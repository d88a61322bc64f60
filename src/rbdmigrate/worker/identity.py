"""Whether a name still means the image that an act is about.

A record knows images by id and by name. Names change: an image may be renamed, and another image
may be given its name, while a migration waits. librbd opens, prepares, executes, commits and aborts
by name. So every act compares the id that the name leads to now with the recorded one, immediately
before librbd looks the name up; where librbd opens an image by id, the acts do that instead.
"""

from __future__ import annotations

from errno import EBUSY, ESTALE, EUCLEAN

import rados

from ..cluster import headers
from ..cluster.target_header import target_header
from ..model.errors import MigrationError
from ..model.jobs.answers import Prepared
from ..model.migration import Place
from ..model.observation import HeaderState


def require_same_image(ioctx: rados.Ioctx, place: Place) -> None:
    """Raise MigrationError(ESTALE) unless the name of ``place`` leads to its image.

    ESTALE is transient: the engine looks up the current name and tries again.
    """
    if headers.image_id(ioctx, place.image) != place.image_id:
        raise renamed(place)


def require_no_other_image(ioctx: rados.Ioctx, place: Place) -> None:
    """Raise MigrationError(ESTALE) if the name of ``place`` leads to another image.

    For acts that complete what was cut off: there the name may be gone already.
    """
    if headers.image_id(ioctx, place.image) not in (None, place.image_id):
        raise renamed(place)


def prepared_target(ioctx: rados.Ioctx, ident: str, no_comparison_snapshot: str) -> Prepared:
    """What a prepare answers about its target. ``no_comparison_snapshot`` as in the answer."""
    version = headers.version(ioctx, ident)  # first: whatever is written from now on changes it
    header = target_header(ioctx, ident, headers.OWN_KEYS)
    return Prepared(ident, version, header, no_comparison_snapshot)


def refuse_migrating(ioctx: rados.Ioctx, place: Place) -> None:
    """Raise MigrationError(EBUSY) for an image that somebody migrates with plain ``rbd``.

    For images that are not librbd's migrations. librbd keeps the source in the trash meanwhile,
    read-only; a name that it got from us would stop that migration from ending.
    """
    found = headers.migration_header(ioctx, place.image_id)
    if found is None:
        return
    end = "source" if found.is_source else "target"
    raise MigrationError(
        EBUSY,
        f"{place.spec} is the {end} of a live migration that somebody prepared with plain `rbd`; "
        "commit or abort that with `rbd migration`, then try again; nothing was changed.",
    )


def require_executed(ioctx: rados.Ioctx, target: Place) -> None:
    """Raise MigrationError(ESTALE) unless librbd's execute copied this target."""
    header = headers.migration_header(ioctx, target.image_id)
    if header is None or header.state is not HeaderState.EXECUTED:
        raise renamed(target)


def require_committed(ioctx: rados.Ioctx, target: Place) -> None:
    """Raise MigrationError(EUCLEAN) unless the commit removed this target's link to its source."""
    if headers.migration_header(ioctx, target.image_id) is not None:
        raise other_image("Committing", target)


def renamed(place: Place) -> MigrationError:
    """The error for a name that does not lead to the image of ``place`` any more."""
    return MigrationError(
        ESTALE,
        f"{place.spec} is not the image with the id {place.image_id} any more: it was renamed, or "
        "its name was given to another image; the names are looked up again.",
    )


def other_image(doing: str, place: Place) -> MigrationError:
    """The error for an act that did not reach its image, though librbd says that it was done."""
    return MigrationError(
        EUCLEAN,
        f"{doing} {place.spec} was done to another image, which was given that name at the same "
        f"moment; the image with the id {place.image_id} is as it was. Look at both with "
        "`rbd status`.",
    )
