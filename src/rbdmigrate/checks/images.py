"""Properties of the source: mirrored, in a group, a clone, a parent, encrypted."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from errno import EBUSY, EINVAL

from ..model.finding import Severity
from ..model.osd_caps import PoolPlace
from ..model.states import Method
from .facts import Facts
from .registry import IMAGE_METHODS, LIVE, Found, check

_SHOWN = 5  # names in a message


@check(
    "CACHE_DIRTY",
    Severity.ERROR,
    "A persistent write-back cache of a client holds writes that are not in the source yet.",
    methods=IMAGE_METHODS,
    errno=EBUSY,
)
def cache_dirty(facts: Facts) -> Iterator[Found]:
    """Yield a dirty write-back cache: a file on the host of a client, which nobody else reads."""
    if facts.image is not None and facts.image.cache_dirty:
        source = facts.request.source
        yield Found(
            str(source),
            f"Writes to the source {source} are in a persistent write-back cache of a client, and "
            "would be missing on the target; close the image on the host that has the cache, which "
            "writes it back, and switch the cache off; `rbd status "
            f"{facts.request.rbd_source}` names that host.",
            f"rbd status {facts.request.rbd_source}",
        )


@check(
    "FLATTEN_ENCRYPTED",
    Severity.ERROR,
    "--flatten was given for a clone that was formatted with LUKS itself.",
    methods=IMAGE_METHODS,
    errno=EINVAL,
)
def flatten_encrypted(facts: Facts) -> Iterator[Found]:
    """Yield a clone whose own data are encrypted, and its parent's are not, or by another key."""
    image, request = facts.image, facts.request
    if image is not None and image.parent and image.own_encryption and request.layout.flatten:
        yield Found(
            str(request.source),
            f"It is a clone of {image.parent} with an encryption of its own ({image.luks}), and "
            "the parent's data, copied as they are, could not be read on the target; leave out "
            "--flatten, with --method live, or flatten it before in a client that has loaded its "
            "encryption.",
            "--method live",
        )


@check(
    "SOURCE_HAS_CLONES",
    Severity.WARNING,
    "Snapshots of the source have clones; a commit will need --force.",
    methods=LIVE,
)
def clones(facts: Facts) -> Iterator[Found]:
    """Yield clones, which move to the target; those open read-only do not notice."""
    image = facts.image
    if image is not None and image.clones:
        more = image.clones - len(image.clone_names)
        names = ", ".join(image.clone_names) + (f" and {more} more" if more > 0 else "")
        yield Found(
            str(facts.request.source),
            f"Its snapshots have the clones {names}; a commit will need --force, and clones "
            "that are open read-only then do not notice that their parent moved.",
            f"rbd children {facts.request.rbd_source} --all",
        )


@check(
    "POOLS_SILENT",
    Severity.WARNING,
    "Pools do not answer, and may hold clones of snapshots of the source.",
    methods=IMAGE_METHODS,
    untested="a silent pool takes a cluster of its own; tests/cluster/test_clones has one",
)
def silent(facts: Facts) -> Iterator[Found]:
    """Yield pools for which a prepare would wait."""
    if facts.image is not None and facts.image.silent_pools:
        names = list(facts.image.silent_pools)
        warm = facts.request.method is Method.WARM
        acts = "committed" if warm else "prepared, committed and aborted"
        yield Found(
            str(facts.request.source),
            f"It is not known whether its snapshots have clones in pools that do not answer "
            f"({_some(names)}); it is {acts} when they answer again.",
            "ceph health detail",
        )


@check(
    "READS_OF_OLD_DATA",
    Severity.WARNING,
    "The source has snapshots: while it is copied, librbd may show old data to clients that read.",
    methods=LIVE,
)
def old_data(facts: Facts) -> Iterator[Found]:
    """Yield a source with snapshots: its objects are copied in several writes."""
    names = [snapshot.name for snapshot in facts.image.snapshots] if facts.image is not None else []
    spec = facts.request.spec
    if facts.inspection is not None and spec is not None and spec.format != "native":
        names = [snapshot.name for snapshot in facts.inspection.snapshots]
    if names:
        yield Found(
            str(facts.request.source),
            f"It has snapshots ({_some(names)}). Clients that read an object just while "
            "librbd copies it may get its data as it was at a snapshot; what they write and what "
            "the target holds in the end is right. To be safe, start the clients when it is "
            "executed, or remove the snapshots before.",
            f"rbd snap ls {facts.request.source}" if spec is None else "",
        )


@check(
    "SNAPSHOTS_UNTRIMMED",
    Severity.WARNING,
    "OSDs are still trimming removed snapshots of the source; it is prepared only afterwards.",
    methods=LIVE,
)
def untrimmed(facts: Facts) -> Iterator[Found]:
    """Yield untrimmed snapshots: librbd reads a clone at its newest snapshot, empty if removed."""
    found = facts.image.untrimmed if facts.image is not None else None
    if found is not None:
        yield Found(
            str(facts.request.source),
            f"{found.reason} A prepare waits for that, then goes on by itself.",
            found.remedy,
        )


@check(
    "SOURCE_MIRRORED",
    Severity.WARNING,
    "The source is mirrored to another cluster.",
    methods=LIVE,
)
def mirrored(facts: Facts) -> Iterator[Found]:
    """Yield a mirrored source: librbd ends the mirroring at prepare."""
    if facts.image is None or facts.image.obstacles.mirroring:
        return  # which is reported as a separate error
    if facts.image.mirror_mode is not None:
        yield Found(
            str(facts.request.source),
            "It is mirrored; the mirroring ends when it is prepared, an abort enables it again, "
            "and the other cluster then copies the whole image again.",
            f"rbd mirror image status {facts.request.rbd_source}",
        )


@check(
    "OBJECT_MAP_INVALID",
    Severity.WARNING,
    "librbd has flagged an object map of the source, or of a snapshot of it, as invalid.",
    methods=IMAGE_METHODS,
)
def invalid_map(facts: Facts) -> Iterator[Found]:
    """Yield invalid object maps: objects missing in them are neither copied nor read."""
    maps = facts.image.invalid_maps if facts.image is not None else ()
    if not maps:
        return
    source = str(facts.request.source)
    views = [f"{source}@{found.snapshot}" if found.snapshot else source for found in maps]
    flags = " and ".join(sorted({f'"{flag}"' for found in maps for flag in found.flags}))
    commands = [f"rbd object-map rebuild {shlex.quote(view)}" for view in views]
    named = ", ".join(f"`{command}`" for command in commands[:_SHOWN])
    more = f" and of {len(views) - _SHOWN} more snapshots" if len(views) > _SHOWN else ""
    yield Found(
        source,
        f"It has the flag {flags}, and data that a wrong object map lacks are not copied; rebuild "
        f"before you prepare it: {named}{more}.",
        commands[0],
    )


@check(
    "SOURCE_JOURNALING",
    Severity.WARNING,
    "The source has the feature journaling.",
    methods=LIVE,
)
def journaling(facts: Facts) -> Iterator[Found]:
    """Yield a journaled target: every copied byte also goes through its journal."""
    if facts.image is not None and "journaling" in facts.image.features:
        yield Found(
            str(facts.request.source),
            "It has the feature journaling, which costs writes twice; leave it out with "
            "--image-feature if nothing needs it.",
        )


@check(
    "TRASH_NOT_LISTED",
    Severity.INFO,
    "The trash of the source's pool holds images, and some programs then cannot list it.",
    methods=LIVE,
)
def trash(facts: Facts) -> Iterator[Found]:
    """Yield images in the trash: Ceph's Python binding fails on a migration's entry (16.2.15,
    20.2.4).
    """
    old_format = facts.source is not None and facts.source.old_format  # never in the trash
    if facts.trash_of_users and not old_format:
        place = PoolPlace(facts.request.source.pool, facts.request.source.namespace)
        yield Found(
            str(facts.request.source),
            f"The trash of {place} holds images. From the prepare to the commit or abort, programs "
            "that list it through Ceph's Python binding fail and remove nothing: the dashboard's "
            "Trash page and the purge of OpenStack Cinder; `rbd trash ls` and `rbd trash purge` "
            "still work.",
            f"rbd trash ls {place}",
        )


@check(
    "SOURCE_IN_GROUP",
    Severity.INFO,
    "The source is in a group of images.",
    methods=LIVE,
)
def group(facts: Facts) -> Iterator[Found]:
    """Yield the group of the source."""
    if facts.image is not None and facts.image.group:
        name = facts.image.group.partition("/")[2]
        yield Found(
            str(facts.request.source),
            f"It is in the group {name}; it leaves the group when it is prepared, and an abort "
            "puts it back.",
        )


@check(
    "SOURCE_ENCRYPTED",
    Severity.INFO,
    "The source is formatted with LUKS.",
    methods=IMAGE_METHODS,
)
def encrypted(facts: Facts) -> Iterator[Found]:
    """Yield an encrypted source, whose data are copied as they are."""
    if facts.image is not None and facts.image.luks:
        yield Found(
            str(facts.request.source),
            f"It is encrypted ({facts.image.luks}); its data are copied as they are, and the "
            "target opens with the same passphrase.",
        )


@check(
    "PROTECTED_SNAPSHOTS",
    Severity.INFO,
    "Snapshots of the source are protected.",
    methods=IMAGE_METHODS,
)
def protected(facts: Facts) -> Iterator[Found]:
    """Yield protected snapshots, which stay protected."""
    if facts.image is None:
        return
    names = [snapshot.name for snapshot in facts.image.snapshots if snapshot.protected]
    if names:
        yield Found(
            str(facts.request.source),
            f"The snapshots {', '.join(names)} are protected, and will be on the target.",
        )


@check(
    "PARENT_ELSEWHERE",
    Severity.INFO,
    "The source is a clone of an image in another pool than the target's.",
    methods=LIVE,
)
def parent(facts: Facts) -> Iterator[Found]:
    """Yield a parent in another pool than the target's."""
    image, request = facts.image, facts.request
    if image is None or not image.parent or request.layout.flatten:
        return
    if image.parent_pool != request.target.pool:
        yield Found(
            str(request.source),
            f"It is a clone of {image.parent}, on which the target in {request.target.pool} will "
            "depend; --flatten copies the parent's data too.",
            "--flatten",
        )


def _some(names: list[str]) -> str:
    """The first names, and the number of further ones."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
