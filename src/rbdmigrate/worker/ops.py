"""What a worker can do: one function an act, each good for repeating after a crash.

A function takes the session, the job's plain arguments and a progress callback (objects done,
objects in all) and returns plain data. It raises MigrationError for its own findings, made before
anything was changed, and lets librbd's errors through (``main`` passes on their errno alone).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from errno import EBUSY, ENOENT
from typing import Any

import rados
import rbd

from ..cluster import headers
from ..cluster.capi import CApiError, CClient
from ..cluster.client import Identity, connect, error_number, fencing_addresses, parse_addresses
from ..faults import fault_point
from ..model.codec import from_plain
from ..model.errors import MigrationError
from ..model.layout import FEATURES, SINGLE_CLIENT, LayoutOptions
from ..model.migration import Place
from ..model.spec import ImageSpec

Progress = Callable[[int, int], None]
PROGRESS_INTERVAL = 0.25  # seconds between two progress messages of a copy


class Session:
    """The worker's RADOS clients: the Python binding's, and the C interface's for prepare."""

    librbd_errors = (rados.Error, rbd.Error, CApiError)

    def __init__(self, identity: Identity) -> None:
        self.rados = connect(identity)
        self.c = CClient(identity)
        self.rbd = rbd.RBD()
        own = (*fencing_addresses(self.rados), *parse_addresses(self.c.addresses()))
        self.addresses = tuple(dict.fromkeys(own))
        self.clients = (int(self.rados.get_instance_id()), self.c.instance_id)

    @staticmethod
    def errno_of(error: BaseException) -> int:
        """The positive errno of one of ``librbd_errors``."""
        return error_number(error)

    def open(self, pool: str, namespace: str) -> rados.Ioctx:
        """An ioctx on the latest map, so that whoever was fenced before is shut out already."""
        self.rados.wait_for_latest_osdmap()
        ioctx = self.rados.open_ioctx(pool)
        ioctx.set_namespace(namespace)
        return ioctx


def _place(plain: dict[str, Any]) -> Place:
    return from_plain(Place, plain, "place")


def prepare(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Link ``target`` to ``source``; refused with EBUSY and who it is when the source is in use."""
    source, target = _place(args["source"]).spec, _place(args["target"]).spec
    layout = from_plain(LayoutOptions, args["layout"], "layout")
    with session.open(source.pool, source.namespace) as ioctx:
        try:
            with rbd.Image(ioctx, source.image, read_only=True) as image:
                _refuse_when_in_use(session, image, source)
                features = _features(layout, image)
                layout = _restripe(layout, image)
        except rbd.ImageNotFound as error:
            raise MigrationError(ENOENT, f"The source {source} does not exist.") from error
    fault_point("librbd.before", "prepare")
    session.c.prepare(source, target, layout, features)
    fault_point("librbd.after", "prepare")
    return {}


def _refuse_when_in_use(session: Session, image: rbd.Image, source: ImageSpec) -> None:
    """librbd says just 'busy'; the administrator needs to know whom to stop."""
    users = [w for w in image.watchers_list() if int(w["id"]) not in session.clients]
    if not users:
        return
    owners = {owner["owner"] for owner in image.lock_get_owners()}
    names = ", ".join(
        f"client.{user['id']} at {user['addr']}"
        + (" (holds the exclusive lock)" if user["addr"] in owners else "")
        for user in users
    )
    raise MigrationError(
        EBUSY,
        f"The source {source} is open for writing by {names}; stop this client, prepare, and "
        "start it again on the target.",
    )


def _features(layout: LayoutOptions, image: rbd.Image) -> Any:
    """The target's feature mask; None leaves the source's."""
    bits = layout.feature_bits()
    if layout.shared:
        bits = int(image.features()) if bits is None else bits
        for name in SINGLE_CLIENT:
            bits &= ~FEATURES[name]
    return bits


def _restripe(layout: LayoutOptions, image: rbd.Image) -> LayoutOptions:
    """A new object size for a source without fancy striping brings its own stripe unit.

    librbd takes the source's stripe unit otherwise, which is its object size, and then refuses
    the smaller objects that were asked for or stripes the larger ones.
    """
    if layout.object_size is None or layout.stripe_unit is not None or image.stripe_count() != 1:
        return layout
    return replace(layout, stripe_unit=layout.object_size, stripe_count=1)


def execute(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Copy until everything is there; goes on where an interrupted copy stopped."""
    target = _place(args["target"])
    last = 0.0

    def callback(done: int, total: int) -> int:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            progress(done, total)
        return 0

    with session.open(target.pool, target.namespace) as ioctx:
        fault_point("librbd.before", "execute")
        session.rbd.migration_execute(ioctx, target.image, on_progress=callback)
        fault_point("librbd.after", "execute")
    return {}


def commit(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Cut the target loose from the source and remove the source."""
    target = _place(args["target"])
    with session.open(target.pool, target.namespace) as ioctx:
        fault_point("librbd.before", "commit")
        session.rbd.migration_commit(ioctx, target.image)
        fault_point("librbd.after", "commit")
    return {}


def abort(session: Session, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Remove the target and give the source back."""
    target = _place(args["target"])
    with session.open(target.pool, target.namespace) as ioctx:
        fault_point("librbd.before", "abort")
        session.rbd.migration_abort(ioctx, target.image)
        fault_point("librbd.after", "abort")
    return {}


OPS: dict[str, Callable[[Session, dict[str, Any], Progress], dict[str, Any]]] = {
    "prepare": prepare,
    "execute": execute,
    "commit": commit,
    "abort": abort,
}
