"""Who uses images now, but for ourselves and our dead workers. Images are asked by their ids: a
source lies in the trash meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from errno import EBUSY, ESTALE
from typing import Any

import rados
import rbd

from ..cluster import headers
from ..model.codec import from_plain
from ..model.errors import MigrationError
from ..model.migration import Place
from ..model.watchers import name_users
from .session import Session

_KERNEL_COOKIES = 0xFFFF << 48  # where krbd begins to count its watches (net/ceph/osd_client)


def writers(
    session: Session, ioctx: rados.Ioctx, image: rbd.Image, fenced: Collection[str]
) -> list[dict[str, Any]]:
    """Who has the image open for writing, but for ourselves and our dead workers (``fenced``)."""
    holder = headers.lock_holder(ioctx, image.id())
    return [
        {
            "client": int(watcher["id"]),
            "address": str(watcher["addr"]),
            "lock": holder is not None and int(watcher["id"]) == holder.client,
            "kernel": int(watcher["cookie"]) >= _KERNEL_COOKIES,
        }
        for watcher in image.watchers_list()
        if int(watcher["id"]) not in session.clients and str(watcher["addr"]) not in fenced
    ]


def lock_holders(session: Session, ioctx: rados.Ioctx, ident: str) -> list[dict[str, Any]]:
    """The holder of the image's exclusive lock, where the image must not be opened."""
    holder = headers.lock_holder(ioctx, ident)
    if holder is None or holder.client in session.clients:
        return []
    return [{"client": holder.client, "address": holder.address, "lock": True, "kernel": False}]


def require_unchanged(
    session: Session, ioctx: rados.Ioctx, target: Place, args: dict[str, Any]
) -> None:
    """Raise MigrationError if the target was opened or changed since the engine allowed the abort.

    EBUSY: a client has it open for writing now. ESTALE: its header was written; the engine looks
    again and decides.
    """
    if args["blind"]:
        users = lock_holders(session, ioctx, target.image_id)
    else:
        with rbd.Image(ioctx, image_id=target.image_id, read_only=True) as image:
            users = writers(session, ioctx, image, args["fenced"])
    if users:
        raise MigrationError(
            EBUSY,
            f"The abort was not begun: the target {target.spec} is open for writing by "
            f"{name_users(users)}; stop the client, then abort again.",
        )
    allowed = args["guarded"]
    if allowed is None or headers.version(ioctx, target.image_id) != allowed["version"]:
        raise MigrationError(
            ESTALE,
            f"{target.spec} was changed while its abort was about to begin; it is looked at again.",
        )


def users_of(session: Session, args: dict[str, Any], progress: Any) -> dict[str, Any]:
    """The clients that have one of ``images`` (places) open for writing: their addresses.

    An image that cannot be opened, since it is half removed, tells nothing. Our own clients, and
    the dead ones that were ``fenced``, do not count.
    """
    found = [
        address
        for plain in args["images"]
        for client, address in _watchers(session, from_plain(Place, plain, "place"))
        if client not in session.clients and address not in args["fenced"]
    ]
    return {"users": found}


def _watchers(session: Session, place: Place) -> Iterator[tuple[int, str]]:
    """Number and address of each client that watches the header, as all do that may write."""
    with session.open(place) as ioctx:
        try:
            with rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image:
                watchers = list(image.watchers_list())
        except (rbd.Error, rados.ObjectNotFound):
            return
        for watcher in watchers:
            yield int(watcher["id"]), str(watcher["addr"])
