"""Images with known content: made from a seed, kept as digests, compared byte for byte."""

import contextlib
import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Optional

import rbd

from qa.faults.bench import NAMESPACE, SOURCE_POOL, TARGET_POOL, Bench
from qa.workload.images import FEATURES, MIB, make_old_format, remove
from rbdmigrate.worker.open_image import ident_of

ORDER = 20
HEAD = "head"
PROTECTED, PLAIN = "protected", "plain"  # the two snapshots
GROUP = "group"
_PARENT = "parent"
_PARENT_SNAPSHOT = "base"
_ALL = sum(FEATURES.values())
_FEATURES = _ALL - FEATURES["journaling"]
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Variant:
    """A kind of migration: source and target pools, and special properties of the source."""

    name: str
    source_namespace: str = ""
    target_pool: str = TARGET_POOL
    target_namespace: str = ""
    in_place: bool = False
    clone: bool = False
    features: int = _FEATURES
    child: bool = False  # the source's protected snapshot has a clone
    group: bool = False  # the source is member of a group
    old_format: bool = False  # the source is of format 1
    method: str = "live"
    verify: str = "none"  # what is compared before the commit
    cutover: str = "refuse"  # the mode of its cutover


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("pool"),
        Variant("in-place", target_pool=SOURCE_POOL, in_place=True),
        Variant("namespace", source_namespace=NAMESPACE, target_namespace=NAMESPACE),
        Variant("clone", clone=True),
        Variant("child", child=True),
        Variant("group", group=True),
        Variant("journal", features=_ALL),
        Variant("format-1", old_format=True),
        Variant("in-place-journal", target_pool=SOURCE_POOL, in_place=True,
                features=_ALL),
        Variant("warm", method="warm", verify="full"),
        Variant("warm-in-place", target_pool=SOURCE_POOL, in_place=True, method="warm",
                verify="full"),
        Variant("warm-namespace", source_namespace=NAMESPACE, target_namespace=NAMESPACE,
                method="warm", verify="full"),
        Variant("warm-clone", clone=True, method="warm", verify="full"),
        Variant("warm-hook", method="warm", verify="full", cutover="hook"),
        Variant("warm-no-lock", features=FEATURES["layering"], method="warm", verify="full"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """An image to migrate: its names, its id, and the digest of each of its views."""

    variant: Variant
    name: str
    ident: str
    size: int
    digests: "dict[str, str]"
    parent: Optional["tuple[str, str, str]"]  # pool, image, snapshot

    @property
    def source(self) -> "tuple[str, str, str]":
        """Pool, namespace and name of the source."""
        return SOURCE_POOL, self.variant.source_namespace, self.name

    @property
    def target(self) -> "tuple[str, str, str]":
        """Pool, namespace and name of the target."""
        if self.variant.in_place:
            return self.source
        return self.variant.target_pool, self.variant.target_namespace, f"{self.name}-moved"


def child_of(name: str) -> str:
    """Return the name of the clone of an image's protected snapshot."""
    return f"{name}-child"


def spec(place: "tuple[str, str, str]") -> str:
    """``pool/[namespace/]image``."""
    return "/".join(part for part in place if part)


def make_sample(
    bench: Bench, variant: Variant, size: int = 8 * MIB, order: int = ORDER, pace: int = 0
) -> Sample:
    """Make a source with a protected snapshot, another one, and a head that differs from both.

    It has data, holes, parts of objects, data only in a snapshot, and discarded objects. ``pace``:
    how many objects a copy processes at once (0: the default); with 1 and a small ``order`` a copy
    takes long and moves little.
    """
    number = next(_numbers)
    name = f"image{number}"
    content = bytearray(size)
    digests: dict[str, str] = {}
    chance = random.Random(f"{variant.name}/{number}")
    parent: Optional[tuple[str, str, str]] = None
    with bench.ioctx(SOURCE_POOL, variant.source_namespace) as ioctx:
        if variant.clone:
            parent = (SOURCE_POOL, _PARENT, _PARENT_SNAPSHOT)
            content[:] = _make_parent(bench, size)
            rbd.RBD().clone(ioctx, _PARENT, _PARENT_SNAPSHOT, ioctx, name, variant.features, ORDER)
        elif variant.old_format:
            make_old_format(bench.client, f"{SOURCE_POOL}/{name}", size, order)
        else:
            rbd.RBD().create(ioctx, name, size, order, old_format=False, features=variant.features)
        with rbd.Image(ioctx, name) as image:
            ident = ident_of(image)
            if pace and not variant.old_format:
                image.metadata_set("conf_rbd_concurrent_management_ops", str(pace))
            half = size // 2
            _write(image, content, chance, 0, MIB + MIB // 2)
            _write(image, content, chance, half + 4096, 2 * 4096)
            image.create_snap(PROTECTED)
            if not variant.old_format:
                image.protect_snap(PROTECTED)
            digests[PROTECTED] = _digest(content)
            _write(image, content, chance, MIB // 2, MIB)
            _write(image, content, chance, size - MIB, MIB)
            image.create_snap(PLAIN)
            digests[PLAIN] = _digest(content)
            _write(image, content, chance, half, MIB // 4)
            image.discard(size - MIB, MIB)
            content[size - MIB :] = bytes(MIB)
            _write(image, content, chance, 3 * MIB + 8192, 4096)
            digests[HEAD] = _digest(content)
        if variant.child:
            rbd.RBD().clone(ioctx, name, PROTECTED, ioctx, child_of(name), variant.features, ORDER)
        if variant.group:
            with contextlib.suppress(rbd.ObjectExists):
                rbd.RBD().group_create(ioctx, GROUP)
            rbd.Group(ioctx, GROUP).add_image(ioctx, name)
    return Sample(variant, name, ident, size, digests, parent)


def _make_parent(bench: Bench, size: int) -> bytes:
    """Return the content of the image that clones are made of, which is made once."""
    content = random.Random("parent").randbytes(size)
    with bench.ioctx(SOURCE_POOL) as ioctx:
        if _PARENT not in rbd.RBD().list(ioctx):
            rbd.RBD().create(ioctx, _PARENT, size, ORDER, old_format=False, features=_FEATURES)
            with rbd.Image(ioctx, _PARENT) as image:
                image.write(content, 0)
                image.create_snap(_PARENT_SNAPSHOT)
                image.protect_snap(_PARENT_SNAPSHOT)
    return content


def write_more(bench: Bench, sample: Sample, place: "tuple[str, str, str]") -> Sample:
    """Write to the image at ``place``, which has the sample's content, as a client does."""
    content = bytearray()
    chance = random.Random(f"more/{sample.name}")
    pool, namespace, name = place
    with bench.ioctx(pool, namespace) as ioctx, rbd.Image(ioctx, name) as image:
        content[:] = image.read(0, sample.size)
        for _ in range(4):
            _write(image, content, chance, chance.randrange(sample.size // 4096) * 4096, 4096)
    return replace(sample, digests={**sample.digests, HEAD: _digest(content)})


def _write(
    image: rbd.Image, content: bytearray, chance: random.Random, offset: int, length: int
) -> None:
    data = chance.randbytes(length)
    image.write(data, offset)
    content[offset : offset + length] = data


def _digest(content: "bytes | bytearray") -> str:
    return hashlib.sha256(content).hexdigest()


def read_digests(image: rbd.Image) -> "dict[str, str]":
    """Return the digest of each view of an open image."""
    names = [str(snapshot["name"]) for snapshot in image.list_snaps()]
    digests: dict[str, str] = {}
    for name in [*names, None]:
        image.set_snap(name)
        digests[name or HEAD] = _digest(image.read(0, image.size()))
    return digests


def remove_image(bench: Bench, place: "tuple[str, str, str]") -> None:
    """Remove an image with its snapshots through librbd, which needs it to be intact."""
    pool, namespace, name = place
    with bench.ioctx(pool, namespace) as ioctx:
        with rbd.Image(ioctx, name) as image:
            group = image.group()
        if group["name"]:
            with bench.client.open_ioctx2(group["pool"]) as other:
                rbd.Group(other, group["name"]).remove_image(ioctx, name)
    remove(bench.client, spec(place))


def image_ids(bench: Bench, pool: str, namespace: str) -> "set[str]":
    """Return the ids of all images that librbd lists there."""
    with bench.ioctx(pool, namespace) as ioctx:
        return {str(item["id"]) for item in rbd.RBD().list2(ioctx)}


@contextlib.contextmanager
def removed_at_end(bench: Bench, sample: Sample) -> Iterator[None]:
    """Remove everything that exists of a sample, as far as possible."""
    try:
        yield
    finally:
        if sample.variant.child:
            with contextlib.suppress(rbd.Error):
                remove_image(bench, (*sample.source[:2], child_of(sample.name)))
        for place in dict.fromkeys((sample.target, sample.source)):
            with contextlib.suppress(rbd.Error):
                remove_image(bench, place)
