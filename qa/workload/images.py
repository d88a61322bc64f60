"""Images with known random content, and functions that read their content.

Image specs are texts, ``pool/[namespace/]image``. A *view* is the head (``HEAD``) or a snapshot by
its name. Everything goes through librbd in this process.
"""

import contextlib
import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from typing import Optional

import rados
import rbd

KIB, MIB = 1 << 10, 1 << 20
# Image metadata: the number of objects that librbd copies or removes at once.
CONCURRENCY = "conf_rbd_concurrent_management_ops"
HEAD = ""
_PIECE = 4 * MIB
_FORCE_OLD_FORMAT = "RBD_FORCE_ALLOW_V1"  # read by librbd
_CHUNKS = 32  # number of pieces of an image's content; some are left out

FEATURES = {
    "layering": rbd.RBD_FEATURE_LAYERING,
    "exclusive-lock": rbd.RBD_FEATURE_EXCLUSIVE_LOCK,
    "object-map": rbd.RBD_FEATURE_OBJECT_MAP,
    "fast-diff": rbd.RBD_FEATURE_FAST_DIFF,
    "deep-flatten": rbd.RBD_FEATURE_DEEP_FLATTEN,
    "journaling": rbd.RBD_FEATURE_JOURNALING,
}


def split(spec: str) -> "tuple[str, str, str]":
    """Return pool, namespace and image of a spec."""
    parts = spec.split("/")
    return parts[0], parts[1] if len(parts) == 3 else "", parts[-1]


@contextlib.contextmanager
def place(client: rados.Rados, spec: str) -> Iterator[rados.Ioctx]:
    """Return the ioctx of the image's pool and namespace."""
    pool, namespace, _ = split(spec)
    client.wait_for_latest_osdmap()
    with client.open_ioctx(pool) as ioctx:
        ioctx.set_namespace(namespace)
        yield ioctx


@contextlib.contextmanager
def opened(
    client: rados.Rados, spec: str, view: str = HEAD, read_only: bool = True
) -> Iterator[rbd.Image]:
    """Open the image during the block.

    At its head first: one that is opened at a snapshot and closed at once ends the process (20.2).
    """
    with (
        place(client, spec) as ioctx,
        rbd.Image(ioctx, split(spec)[2], read_only=read_only) as image,
    ):
        if view:
            image.set_snap(view)
        yield image


def make_image(
    client: rados.Rados,
    spec: str,
    size: int = 8 * MIB,
    object_size: int = 256 * KIB,
    snapshots: Sequence[str] = ("one", "two"),
    protect: Sequence[str] = (),
    features: Optional[Sequence[str]] = None,
    seed: int = 1,
) -> None:
    """Make an image with random content and holes that differ in every view."""
    bits = None if features is None else sum(FEATURES[name] for name in features)
    with place(client, spec) as ioctx:
        rbd.RBD().create(
            ioctx, split(spec)[2], size, order=object_size.bit_length() - 1, features=bits
        )
    with opened(client, spec, read_only=False) as image:
        scribble(image, seed, [*snapshots, HEAD])
        for name in protect:
            image.protect_snap(name)


def make_old_format(client: rados.Rados, spec: str, size: int, order: int = 20) -> None:
    """Make an empty image of format 1, which librbd refuses without being forced."""
    os.environ[_FORCE_OLD_FORMAT] = "1"
    client.conf_set("rbd_default_format", "1")  # old_format alone leaves that to the configuration
    try:
        with place(client, spec) as ioctx:
            rbd.RBD().create(ioctx, split(spec)[2], size, order, old_format=True)
    finally:
        client.conf_set("rbd_default_format", "2")
        del os.environ[_FORCE_OLD_FORMAT]
    with opened(client, spec) as image:
        if not image.old_format():
            raise AssertionError(f"{spec} is not of format 1")


def scribble(image: rbd.Image, seed: int, views: Sequence[str]) -> None:
    """Write and discard at random; take the snapshots of ``views`` in between (HEAD: none)."""
    chance = random.Random(seed)
    chunk = image.size() // _CHUNKS
    for number, view in enumerate(views):
        for index in range(_CHUNKS):
            what = chance.random()
            if what < (0.6 if number == 0 else 0.3):
                image.write(chance.randbytes(chunk), index * chunk)
            elif what < 0.7:
                image.write(chance.randbytes(chunk // 3), index * chunk + chunk // 4)
            elif what < 0.8:
                image.discard(index * chunk, chunk)
        if view != HEAD:
            image.create_snap(view)


def make_slow_image(
    client: rados.Rados, spec: str, objects: int = 4096, snapshots: Sequence[str] = ()
) -> None:
    """Make a full image of many objects of 4 KiB, whose copy takes about 3 ms per object."""
    size = objects * 4 * KIB
    with place(client, spec) as ioctx:
        rbd.RBD().create(ioctx, split(spec)[2], size, order=12)
    with opened(client, spec, read_only=False) as image:
        image.metadata_set(CONCURRENCY, "1")
        for view in (*snapshots, HEAD):
            for offset in range(0, size if view == (*snapshots, HEAD)[0] else MIB, MIB):
                data = random.Random(f"{spec}/{view}/{offset}").randbytes(min(MIB, size - offset))
                image.write(data, offset)
            if view != HEAD:
                image.create_snap(view)


def make_layered_image(
    client: rados.Rados, spec: str, objects: int, snapshots: Sequence[str], size: int = 16 * KIB
) -> None:
    """Make an image whose every object, of ``size`` bytes, differs in each view.

    librbd copies each of them in as many writes as there are views, and ten objects at once, so
    that an interrupted copy is likely to leave some incomplete.
    """
    with place(client, spec) as ioctx:
        rbd.RBD().create(ioctx, split(spec)[2], objects * size, order=size.bit_length() - 1)
    with opened(client, spec, read_only=False) as image:
        image.metadata_set(CONCURRENCY, "10")
        for view in (*snapshots, HEAD):
            for offset in range(0, objects * size, MIB):
                length = min(MIB, objects * size - offset)
                image.write(random.Random(f"{spec}/{view}/{offset}").randbytes(length), offset)
            if view != HEAD:
                image.create_snap(view)


def make_rotated_image(
    client: rados.Rados,
    spec: str,
    features: Optional[Sequence[str]] = None,
    data_pool: str = "",
    **layout: int,
) -> None:
    """Make four objects of 1 MiB after backup rotation: ``nightly`` is removed, ``keep`` is not.

    Until OSDs have trimmed ``nightly``, librbd copies the objects as zeros.
    """
    bits = None if features is None else sum(FEATURES[name] for name in features)
    more = {**layout, **({"data_pool": data_pool} if data_pool else {})}
    with place(client, spec) as ioctx:
        rbd.RBD().create(ioctx, split(spec)[2], 4 * MIB, order=20, features=bits, **more)
    with opened(client, spec, read_only=False) as image:
        image.write(random.Random(spec).randbytes(4 * MIB), 0)
        image.create_snap("keep")
        image.create_snap("nightly")
        for offset in range(0, 4 * MIB, MIB):
            image.write(b"later" * 100, offset + 4 * KIB)
        image.flush()
        image.remove_snap("nightly")


def speed_up(client: rados.Rados, spec: str) -> None:
    """Remove the slowdown of :func:`make_slow_image`; effective from the next start of a copy."""
    with opened(client, spec, read_only=False) as image:
        image.metadata_remove(CONCURRENCY)


def content(client: rados.Rados, spec: str, view: str = HEAD) -> bytes:
    """Return all bytes of a view."""
    with opened(client, spec, view) as image:
        size = image.size()
        pieces = [image.read(at, min(_PIECE, size - at)) for at in range(0, size, _PIECE)]
    return b"".join(pieces)


def digests(client: rados.Rados, spec: str) -> "dict[str, str]":
    """Return size and digest of every view, and whether it is protected: equal for equal images."""
    found = {}
    with opened(client, spec) as image:
        protected = {s["name"]: image.is_protected_snap(s["name"]) for s in image.list_snaps()}
    for view in (HEAD, *protected):
        data = content(client, spec, view)
        kept = " protected" if protected.get(view) else ""
        found[view] = f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}{kept}"
    return found


def image_id(client: rados.Rados, spec: str) -> str:
    """Return the id in the names of the image's objects."""
    with opened(client, spec) as image:
        return str(image.id())


def data_objects(client: rados.Rados, spec: str, ident: str) -> int:
    """Return how many data objects the image with this id has in the pool of ``spec``."""
    prefix = f"rbd_data.{ident}."
    with place(client, spec) as ioctx:
        return sum(each.key.startswith(prefix) for each in ioctx.list_objects())


def names(client: rados.Rados, pool: str, namespace: str = "") -> "list[str]":
    """Return the output of ``rbd ls``."""
    with place(client, f"{pool}/{namespace}/-") as ioctx:
        return sorted(rbd.RBD().list(ioctx))


def omap(ioctx: rados.Ioctx, oid: str) -> "dict[str, bytes]":
    """Return the keys (which have to be text) and values of an object; empty if there is none."""
    with rados.ReadOpCtx() as read:
        found, _ = ioctx.get_omap_vals(read, "", "", 10000)
        try:
            ioctx.operate_read_op(read, oid)
        except rados.ObjectNotFound:
            return {}
        return {key: bytes(value) for key, value in found}


def trash(client: rados.Rados, pool: str, namespace: str = "") -> "list[str]":
    """Return the keys of the trash (``rbd trash ls`` does not show entries of migrations)."""
    with place(client, f"{pool}/{namespace}/-") as ioctx:
        return sorted(omap(ioctx, "rbd_trash"))


def records(client: rados.Rados, pool: str, namespace: str = "") -> "list[str]":
    """Return the records of migrations under way whose targets are in this pool and namespace."""
    with place(client, f"{pool}/{namespace}/-") as ioctx:
        return sorted(key for key in omap(ioctx, "rbd_migration") if key.startswith("migration."))


def forget_history(client: rados.Rados, pools: Sequence[str]) -> None:
    """Remove the records of ended migrations from these pools' default namespaces."""
    oid = "rbd_migration_history"
    for pool in pools:
        with place(client, f"{pool}/-") as ioctx, rados.WriteOpCtx() as write:
            ended = tuple(key for key in omap(ioctx, oid) if key.startswith("migration."))
            if ended:
                ioctx.remove_omap_keys(write, ended)
                ioctx.operate_write_op(write, oid)


def rados_objects(client: rados.Rados, pool: str) -> "set[tuple[str, str]]":
    """Return every object of the pool as (namespace, name), except for the module's stores.

    Removed objects that wait for the trimming of their snapshots do not count.
    """
    with place(client, f"{pool}/-") as ioctx:
        ioctx.set_namespace(rados.LIBRADOS_ALL_NSPACES)
        listed = {(each.nspace, each.key) for each in ioctx.list_objects()}
        ours = {(ns, key) for ns, key in listed if key.startswith("rbd_migration")}
        return {(ns, key) for ns, key in listed - ours if _exists(ioctx, ns, key)}


def _exists(ioctx: rados.Ioctx, namespace: str, key: str) -> bool:
    ioctx.set_namespace(namespace)
    try:
        ioctx.stat(key)
    except rados.ObjectNotFound:
        return False
    return True


def wipe(client: rados.Rados, pools: Sequence[str]) -> bool:
    """Remove all images and namespaces of these pools; False when some are left."""
    places = [(pool, ns) for pool in pools for ns in ("", *_namespaces(client, pool))]
    for _ in range(3):  # clones before their parents
        for pool, namespace in places:
            for name in names(client, pool, namespace):
                with contextlib.suppress(rbd.Error):  # something is in the way
                    remove(client, f"{pool}/{namespace}/{name}")
    if any(names(client, *each) or trash(client, *each) for each in places):
        return False
    for pool, namespace in places:
        if namespace:
            with place(client, f"{pool}/-") as ioctx:
                rbd.RBD().namespace_remove(ioctx, namespace)
    return True


def _namespaces(client: rados.Rados, pool: str) -> "list[str]":
    with place(client, f"{pool}/-") as ioctx:
        return list(rbd.RBD().namespace_list(ioctx))


def remove(client: rados.Rados, spec: str) -> None:
    """Remove an image with its snapshots through librbd. Raises rbd.Error."""
    with opened(client, spec, read_only=False) as image:
        with contextlib.suppress(KeyError):  # it may be slow on purpose
            image.metadata_remove(CONCURRENCY)
        for snapshot in list(image.list_snaps()):
            if image.is_protected_snap(snapshot["name"]):
                image.unprotect_snap(snapshot["name"])
            image.remove_snap(snapshot["name"])
    with place(client, spec) as ioctx:
        rbd.RBD().remove(ioctx, split(spec)[2])
