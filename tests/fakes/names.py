"""Names, directory and trash on the fake cluster: each write as a worker of ours makes it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Optional

from rbdmigrate.model.errors import MigrationError

from .cls_rbd import string
from .cluster import Object
from .images import Spot


def unname(spot: Spot, name: str, ident: str) -> None:
    """Take its name, and its place in the directory, from an image."""
    if spot.id_of(name) == ident:
        spot.write(f"rbd_id.{name}", lambda *_: False)
    if listed(spot, ident) == name:
        spot.method("rbd_directory", "dir_remove_image", string(name) + string(ident))


def listed(spot: Spot, ident: str) -> str:
    """The name under which an image is listed; empty without one."""
    raw = spot.read("rbd_directory", lambda stored: stored.omap.get(f"id_{ident}"))
    return raw[4:].decode() if raw else ""


def give_name(
    spot: Spot,
    name: str,
    ident: str,
    former: str = "",
    then: Optional[Callable[[], None]] = None,
) -> None:
    """Let the name lead to an image, in one write; it may lead to the image ``former`` before.

    ``then`` is called in the moment of that write. Raises MigrationError(EEXIST) where the name
    leads to another image.
    """
    if spot.id_of(name) == ident:
        return

    def change(made: Object, there: bool) -> None:
        leads = made.data[4:].decode() if there else ""
        if leads not in ("", former):
            raise MigrationError(errno.EEXIST, f"Another image has the name {name}.")
        made.data = string(ident)
        if then is not None:
            then()

    spot.write(f"rbd_id.{name}", change)


def list_as(spot: Spot, name: str, ident: str) -> None:
    """List an image that has its name, and no longer in the trash."""
    raw = spot.read("rbd_directory", lambda stored: stored.omap.get(f"name_{name}"))
    other = raw[4:].decode() if raw else ""
    if other and other != ident:
        spot.method("rbd_directory", "dir_remove_image", string(name) + string(other))
    former = listed(spot, ident)
    if former != name:
        if former:
            unname(spot, former, ident)
        spot.method("rbd_directory", "dir_add_image", string(name) + string(ident))
    untrash(spot, ident)


def trash(spot: Spot, name: str, ident: str) -> None:
    """List an image in the trash."""
    if not in_trash(spot, ident):
        spot.method("rbd_trash", "trash_add", string(ident) + string(name))


def in_trash(spot: Spot, ident: str) -> bool:
    """Whether an image is listed in the trash."""
    return bool(spot.read("rbd_trash", lambda stored: f"id_{ident}" in stored.omap))


def untrash(spot: Spot, ident: str) -> None:
    """Remove an image's entry in the trash."""
    if in_trash(spot, ident):
        spot.method("rbd_trash", "trash_remove", string(ident))


def remove(spot: Spot, name: str, ident: str) -> None:
    """Remove an image with its names."""
    unname(spot, name, ident)
    if listed(spot, ident):
        unname(spot, listed(spot, ident), ident)
    if spot.stored(ident) is not None:
        spot.write(f"rbd_header.{ident}", lambda *_: False)
    untrash(spot, ident)
