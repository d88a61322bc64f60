"""Who uses images now, but for ourselves and our dead workers. Images are asked by their ids: a
source lies in the trash meanwhile."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from errno import EBUSY, ESTALE

import rados
import rbd

from ..cluster import headers
from ..model.errors import InUse, MigrationError
from ..model.jobs.acts import Abort
from ..model.jobs.answers import ClosedImages, UsersFound
from ..model.jobs.protocol import Tell
from ..model.jobs.questions import FindClosed, FindUsers
from ..model.migration import Place
from ..model.watchers import Watcher, name_users
from .open_image import ident_of, open_image
from .session import Session

_KERNEL_COOKIES = 0xFFFF << 48  # where krbd begins to count its watches (net/ceph/osd_client)


def writers(
    session: Session,
    place: Place,
    ioctx: rados.Ioctx,
    image: rbd.Image,
    fenced: Collection[str],
) -> list[Watcher]:
    """Who has the image open for writing, but for ourselves and our dead workers (``fenced``)."""
    return [
        watcher
        for watcher in other_writers(ioctx, image, session.clients_of(place))
        if watcher.address not in fenced
    ]


def other_writers(ioctx: rados.Ioctx, image: rbd.Image, clients: Collection[int]) -> list[Watcher]:
    """Who has the image open for writing, but for these clients."""
    holder = headers.lock_holder(ioctx, ident_of(image))
    return [
        Watcher(
            client=int(watcher["id"]),
            address=str(watcher["addr"]),
            lock=holder is not None and int(watcher["id"]) == holder.client,
            kernel=int(watcher["cookie"]) >= _KERNEL_COOKIES,
        )
        for watcher in image.watchers_list()
        if int(watcher["id"]) not in clients
    ]


def lock_holders(session: Session, ioctx: rados.Ioctx, ident: str) -> list[Watcher]:
    """The holder of the image's exclusive lock, where the image must not be opened."""
    holder = headers.lock_holder(ioctx, ident)
    if holder is None or holder.client in session.clients:
        return []
    return [Watcher(holder.client, holder.address, lock=True)]


def require_unlocked(ioctx: rados.Ioctx, target: Place) -> None:
    """Raise MigrationError(EBUSY) if the target has a lock of ``rbd lock add``.

    librbd would wait for it until it is removed, without a word, to copy and to abort. A commit
    does not mind it (measured, 16.2.15).
    """
    lock = headers.advisory_lock(ioctx, target.image_id)
    if lock is not None:
        name = lock.cookie
        remedy = f"rbd lock rm {target.spec} {shlex.quote(name)} client.{lock.client}"
        raise MigrationError(
            EBUSY,
            f"{target.spec} has the lock {name!r}, taken by {lock} with `rbd lock add`, for "
            f"which librbd would wait; remove it with `{remedy}`.",
        )


def require_unchanged(session: Session, ioctx: rados.Ioctx, target: Place, act: Abort) -> None:
    """Raise MigrationError if the target was opened or changed since the engine allowed the abort.

    EBUSY: a client has it open for writing now. ESTALE: its header was written; the engine looks
    again and decides.
    """
    if act.blind:
        users = lock_holders(session, ioctx, target.image_id)
    else:
        with rbd.Image(ioctx, image_id=target.image_id, read_only=True) as image:
            users = writers(session, target, ioctx, image, act.fenced)
    if users:
        raise MigrationError(
            EBUSY,
            f"The abort was not begun: the target {target.spec} is open for writing by "
            f"{name_users(users)}; stop the client, then abort again.",
        )
    allowed = act.allowed_version
    if allowed is None or headers.version(ioctx, target.image_id) != allowed:
        raise MigrationError(
            ESTALE,
            f"{target.spec} was changed while its abort was about to begin; it is looked at again.",
        )


@contextmanager
def naming_users(session: Session, place: Place, *, side: str) -> Iterator[None]:
    """Raise InUse(EBUSY) with who has an image open when librbd refuses to remove it.

    librbd says only that it is busy. ``rbd.ImageBusy`` as it was if nobody is found. ``side``:
    "source" or "target", for the message.
    """
    try:
        yield
    except rbd.ImageBusy:
        with session.open(place) as ioctx:
            users = lock_holders(session, ioctx, place.image_id)
            with (
                suppress(rbd.Error, rados.ObjectNotFound),  # it is half removed
                open_image(ioctx, place.image_id, read_only=True) as image,
            ):
                users = writers(session, place, ioctx, image, ()) or users
        if not users:
            raise
        raise InUse(
            EBUSY,
            f"The {side} {place.spec} is open for writing by {name_users(users)}, so that it "
            "cannot be removed; stop the client, and the removal goes on by itself.",
        ) from None


def find_users(session: Session, question: FindUsers, tell: Tell) -> UsersFound:
    """The clients that have one of the images open for writing.

    An image that cannot be opened, since it is half removed, tells nothing. Our own clients, and
    the dead ones that were ``fenced``, do not count.
    """
    found = [
        address
        for place in question.images
        for client, address in _watchers(session, place)
        if client not in session.clients and address not in question.fenced
    ]
    return UsersFound(tuple(found))


def find_closed(session: Session, question: FindClosed, tell: Tell) -> ClosedImages:
    """The images that no client has open for writing, but for those that cannot be opened."""
    closed = []
    for place in question.images:
        with session.open(place) as ioctx:
            try:
                with open_image(ioctx, place.image_id, read_only=True) as image:
                    users = writers(session, place, ioctx, image, question.fenced)
            except (rbd.Error, rados.ObjectNotFound):
                continue
        if not users:
            closed.append(place.image_id)
    return ClosedImages(tuple(closed))


def _watchers(session: Session, place: Place) -> Iterator[tuple[int, str]]:
    """Number and address of each client that watches the header, as all do that may write."""
    with session.open(place) as ioctx:
        try:
            with open_image(ioctx, place.image_id, read_only=True) as image:
                watchers = list(image.watchers_list())
        except (rbd.Error, rados.ObjectNotFound):
            return
        for watcher in watchers:
            yield int(watcher["id"]), str(watcher["addr"])
