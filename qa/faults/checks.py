"""The final checks of a migration that has ended, in whatever way.

``findings`` returns one sentence for each problem. It reads objects and omaps itself instead of
asking the manager, which would only repeat what it believes.
"""

import re
import time
from collections.abc import Iterator

import rados
import rbd

from qa.faults import records
from qa.faults.bench import PLACES, Bench
from qa.faults.images import HEAD, PROTECTED, Sample, child_of, read_digests, spec
from rbdmigrate.cluster import headers, old_format
from rbdmigrate.cluster.omap import omap_pages
from rbdmigrate.model.states import State

# Seconds for what goes away by itself: trimmed snapshots; and the watch of a dead client, which
# Ceph keeps for 30 s when its registration and the client's fencing crossed each other.
PATIENCE = 40.0
OPEN = "is open at"
_QUICK = 5.0  # seconds within which a client must be able to write
# The objects of one image; an id may look like a number.
_OF_IMAGE = tuple(
    re.compile(pattern)
    for pattern in (
        r"rbd_header\.([0-9a-f]+)",
        r"rbd_object_map\.([0-9a-f]+)(?:\.[0-9a-f]{16})?",
        r"rbd_data\.(?:\d+\.)?([0-9a-f]+)\.[0-9a-f]{16}",
        r"(rb\.\d+\.[0-9a-f]+\.[0-9a-f]+)\.[0-9a-f]{12}",  # of format 1
        r"journal\.([0-9a-f]+)",
        r"journal_data\.\d+\.([0-9a-f]+)\.\d+",
    )
)


def findings(
    bench: Bench, samples: "list[Sample]", wanted: State, patience: float = PATIENCE
) -> "list[str]":
    """Return all problems of migrations that have ended ``wanted`` (committed or aborted)."""
    deadline = time.monotonic() + patience
    while True:
        found = [text for sample in samples for text in _of_sample(bench, sample, wanted)]
        found += _leftovers(bench, {sample.ident: sample.name for sample in samples})
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(1)


def _of_sample(bench: Bench, sample: Sample, wanted: State) -> Iterator[str]:
    place = sample.target if wanted is State.COMMITTED else sample.source
    text = spec(place)
    yield from _of_record(bench, sample, wanted)
    yield from _of_source(bench, sample, wanted)
    pool, namespace, name = place
    with bench.ioctx(pool, namespace) as ioctx:
        ident = headers.image_id(ioctx, name)
        if ident is None:
            yield f"{text} is gone"
            return
        if (ident == sample.ident) is (wanted is State.COMMITTED):
            yield f"{text} is the wrong image, {ident}"
        if headers.image_name(ioctx, ident) != name:
            yield f"{text}: the directory lists {ident} as {headers.image_name(ioctx, ident)!r}"
        if headers.migration_header(ioctx, ident) is not None:
            yield f"{text} still has a migration header"
        holder = headers.lock_holder(ioctx, ident)
        if holder is not None:
            yield f"{text} is locked by {holder}"
        try:
            yield from _of_content(ioctx, sample, name, text)
            yield from _of_child(bench, sample, place)
        except (rbd.Error, OSError) as error:
            yield f"{text} cannot be read: {type(error).__name__}: {error}"


def _of_record(bench: Bench, sample: Sample, wanted: State) -> Iterator[str]:
    ended = records.history(bench, sample)
    if len(ended) != 1:
        yield f"{sample.name} has {len(ended)} records in the history, not 1"
    for migration in ended:
        if migration.state is not wanted:
            yield f"{sample.name} is in the history as {migration.state.value}"
        if migration.ended_at is None:
            yield f"{sample.name} is in the history without the time of its end"
        if migration.intent is not None:
            yield f"{sample.name} is in the history with a step under way"
        for entry in migration.timeline:
            if entry.state is State.FAILED:
                yield f"{sample.name} failed on its way: {entry.message}"
            if "somebody else" in entry.message:
                yield f"{sample.name}: the timeline says {entry.message!r}, but it was us"


def _of_source(bench: Bench, sample: Sample, wanted: State) -> Iterator[str]:
    """Check what must no longer exist: the source if committed, the target if aborted."""
    if wanted is State.COMMITTED:
        pool, namespace, name = sample.source
        with bench.ioctx(pool, namespace) as ioctx:
            if headers.view_by_id(ioctx, sample.ident) is not None:
                yield f"traces of the source's image {sample.ident} are left"
            if not sample.variant.in_place and headers.image_id(ioctx, name) is not None:
                yield f"the source {spec(sample.source)} is still there"
    elif not sample.variant.in_place:
        pool, namespace, name = sample.target
        with bench.ioctx(pool, namespace) as ioctx:
            if headers.image_id(ioctx, name) is not None:
                yield f"the target {spec(sample.target)} is still there"


def _of_content(ioctx: rados.Ioctx, sample: Sample, name: str, text: str) -> Iterator[str]:
    with rbd.Image(ioctx, name, read_only=True) as image:
        if image.size() != sample.size:
            yield f"{text} has {image.size()} bytes, not {sample.size}"
        digests = read_digests(image)
        if list(digests) != list(sample.digests):
            yield f"{text} has the snapshots {list(digests)}, not {list(sample.digests)}"
        for view, digest in sample.digests.items():
            if digests.get(view, digest) != digest:
                yield f"{text}: the content of {view} differs"
        if (
            PROTECTED in digests
            and not sample.variant.old_format
            and not image.is_protected_snap(PROTECTED)
        ):
            yield f"{text}@{PROTECTED} is not protected any more"
        if _parent(image) != sample.parent:
            yield f"{text} has the parent {_parent(image)}, not {sample.parent}"
        group = image.group()["name"]
        if bool(group) is not sample.variant.group:
            yield f"{text} is in the group {group!r}"
        watchers = [w["addr"] for w in image.watchers_list()]
        if watchers:
            yield f"{text} {OPEN} {', '.join(watchers)}"
    begun = time.monotonic()
    with rbd.Image(ioctx, name) as image:
        before = image.read(0, 4096)
        image.write(bytes(4096), 0)
        image.write(before, 0)
        if HEAD in digests and read_digests(image)[HEAD] != digests[HEAD]:
            yield f"{text} does not keep what is written"
    if time.monotonic() - begun > _QUICK:
        yield f"{text}: a client needed {time.monotonic() - begun:.1f} s to write"


def _of_child(bench: Bench, sample: Sample, place: "tuple[str, str, str]") -> Iterator[str]:
    if not sample.variant.child:
        return
    name = child_of(sample.name)
    with bench.ioctx(*sample.source[:2]) as ioctx, rbd.Image(ioctx, name, read_only=True) as child:
        if _parent(child) != (place[0], place[2], PROTECTED):
            yield f"the clone {name} has the parent {_parent(child)}"
        if read_digests(child)[HEAD] != sample.digests[PROTECTED]:
            yield f"the content of the clone {name} differs"


def _parent(image: rbd.Image) -> "tuple[str, str, str] | None":
    try:
        info = image.get_parent_image_spec()
    except rbd.ImageNotFound:
        return None
    return str(info["pool_name"]), str(info["image_name"]), str(info["snap_name"])


def _leftovers(bench: Bench, sources: "dict[str, str]") -> Iterator[str]:
    for migration in records.under_way(bench):
        yield f"a record is left under way: {migration.source.spec} {migration.state.value}"
    idents: set[str] = set()
    for pool, namespace in PLACES:
        with bench.ioctx(pool, namespace) as ioctx:
            idents |= {str(item["id"]) for item in rbd.RBD().list2(ioctx)}
            for name in old_format.names(ioctx):
                idents.add((old_format.ident_of(ioctx, name) or "").partition("/")[0])
            for ident, entry in headers.trash(ioctx):
                yield f"{pool}/{namespace} has {entry.name} ({ident}) in the trash"
            for key, _ in omap_pages(ioctx, "rbd_trash", ""):
                if not key.startswith("id_"):
                    yield f"{pool}/{namespace}: rbd_trash has the key {key}"
    for pool, namespace in PLACES:
        with bench.ioctx(pool, namespace) as ioctx:
            names = {str(item["name"]) for item in rbd.RBD().list2(ioctx)}
            for item in list(ioctx.list_objects()):
                if item.key.startswith("rbd_id.") and item.key[7:] not in names:
                    yield f"{pool}/{namespace}: {item.key} belongs to no image"
                image = image_of(item.key)
                if image is not None and image not in idents:
                    whose = f", it was {sources[image]}'s" if image in sources else ""
                    kind = "" if _stands(ioctx, item.key) else " (only clones of it are left)"
                    yield f"{pool}/{namespace}: {item.key} belongs to no image{whose}{kind}"


def image_of(oid: str) -> "str | None":
    """Return the id of the image that an object belongs to."""
    for pattern in _OF_IMAGE:
        match = pattern.fullmatch(oid)
        if match:
            return match[1]
    return None


def _stands(ioctx: rados.Ioctx, oid: str) -> bool:
    """Whether an object itself exists, not only in snapshots that will be trimmed."""
    try:
        ioctx.stat(oid)
    except rados.ObjectNotFound:
        return False
    return True
