"""Images that the method warm cannot copy, and what it asks of their clients."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from errno import EBUSY, EDQUOT, EOPNOTSUPP

from ..model.finding import Severity
from ..model.watchers import name_users
from .facts import Facts
from .features import target_features
from .registry import WARM, Found, check

SNAPSHOTS_NEEDED = 3  # of ours at a time: two of rounds, and that of the cutover

_LOCK = "exclusive-lock"


@check(
    "NO_EXCLUSIVE_LOCK",
    Severity.ERROR,
    "Clients have the source open, and it lacks the feature exclusive-lock.",
    methods=WARM,
    errno=EBUSY,
)
def no_lock(facts: Facts) -> Iterator[Found]:
    """Yield clients without the lock: their writes can be in a snapshot, and in no later
    difference, when it was just taken (16.2.15).
    """
    image, source = facts.image, facts.request.source
    if image is None or not image.users or _LOCK in image.features:
        return
    kernel = any(user.kernel for user in image.users)
    enable = f"rbd feature enable {facts.request.rbd_source} {_LOCK}"
    way = (
        f"unmap it, and enable the feature with `{enable}` before it is mapped again"
        if kernel
        else f"enable it with `{enable}`, which the clients notice at once, or stop them"
    )
    yield Found(
        str(source),
        f"The source {source} is open for writing by {name_users(image.users)} and lacks the "
        f"feature {_LOCK}, without which a copy can miss what is written just when a snapshot is "
        f"taken; {way}.",
        f"rbd device unmap {facts.request.rbd_source}" if kernel else enable,
    )


@check(
    "SOURCE_STAYS_CLOSED",
    Severity.WARNING,
    "The source lacks the feature exclusive-lock, so it is copied only while nobody has it open.",
    methods=WARM,
)
def stays_closed(facts: Facts) -> Iterator[Found]:
    """Yield a source that nobody has open, but that somebody could open during the copy."""
    image, source = facts.image, facts.request.source
    if image is not None and not image.users and _LOCK not in image.features:
        yield Found(
            str(source),
            f"It lacks the feature {_LOCK}, and is not copied while a client has it open for "
            "writing; with the feature clients may use it until the cutover.",
            f"rbd feature enable {facts.request.rbd_source} {_LOCK}",
        )


@check(
    "SOURCE_OPEN",
    Severity.INFO,
    "Clients have the source open; they may use it until the cutover.",
    methods=WARM,
)
def still_open(facts: Facts) -> Iterator[Found]:
    """Yield the clients that have to be stopped for the cutover."""
    image, request = facts.image, facts.request
    if image is not None and image.users and _LOCK in image.features:
        yield Found(
            str(request.source),
            f"It is open for writing by {name_users(image.users)}, and may stay open while it is "
            f"copied; stop the client before `ceph rbd migration cutover {request.target}`, and "
            "start it again on the target.",
        )


@check(
    "WARM_IN_USE",
    Severity.ERROR,
    "Clients have the source open, and nobody makes them leave it before the cutover that follows.",
    methods=WARM,
    errno=EBUSY,
    untested="A check does not say what follows the copy; `run` and plans do.",
)
def in_use(facts: Facts) -> Iterator[Found]:
    """Yield the clients of a source that would be cut over by itself."""
    image, request = facts.image, facts.request
    if image is None or not image.users or not facts.cuts_over or facts.clients_leave:
        return
    if request.spec is not None:
        yield Found(
            str(request.source),
            f"The source {request.source} is open for writing by {name_users(image.users)}, and "
            "its clients have to be stopped before the cutover; add --goal executed to copy it "
            "meanwhile, then stop them and run `ceph rbd migration cutover "
            f"{request.target}`.",
            "--goal executed",
        )
        return
    copy = f"ceph rbd migration prepare --method warm {request.source} {request.target}"
    yield Found(
        str(request.source),
        f"The source {request.source} is open for writing by {name_users(image.users)}, and its "
        "clients have to be stopped before the cutover; add --cutover agent, hook or when-closed, "
        f"or copy it meanwhile with `{copy}` and `execute`, then stop them and run `ceph rbd "
        f"migration cutover {request.target}`.",
        copy,
    )


@check(
    "NAME_CHANGES",
    Severity.INFO,
    "Clients have the source open, and the target is in another pool: in place, with another data "
    "pool, its data move too and no client has to be changed.",
    methods=WARM,
)
def name_changes(facts: Facts) -> Iterator[Found]:
    """Yield a source with clients that gets the same name in another pool."""
    image, request = facts.image, facts.request
    source, target = request.source, request.target
    used = image is not None and image.users and request.spec is None
    if not used or request.layout.data_pool or source.pool == target.pool:
        return
    if (source.namespace, source.image) == (target.namespace, target.image):
        yield Found(
            str(source),
            f"Its clients have to find it as {target} afterwards. In place, with --data-pool "
            f"{target.pool}, its data move there too, and nothing changes for them.",
            f"ceph rbd migration run {source} --data-pool {target.pool}",
        )


@check(
    "WARM_MIRRORED",
    Severity.ERROR,
    "The source is mirrored to another cluster, which the method warm cannot copy.",
    methods=WARM,
    errno=EOPNOTSUPP,
)
def mirrored(facts: Facts) -> Iterator[Found]:
    """Yield a mirrored source: removed snapshots make librbd copy zeros to the other cluster."""
    image, source = facts.image, facts.request.source
    if image is None or image.mirror_mode is None or image.obstacles.mirroring:
        return  # snapshots of mirroring are reported as a separate error
    yield Found(
        str(source),
        "It is mirrored to another cluster, and snapshots that a warm migration takes and removes "
        "can make librbd mirror wrong data; end the mirroring with `rbd mirror image disable "
        f"{facts.request.rbd_source}` and enable it for the target afterwards, or choose --method "
        "live.",
        f"rbd mirror image disable {facts.request.rbd_source}",
    )


@check(
    "WARM_JOURNALING",
    Severity.ERROR,
    "The source or the target has the feature journaling, which the method warm cannot copy.",
    methods=WARM,
    errno=EOPNOTSUPP,
)
def journaling(facts: Facts) -> Iterator[Found]:
    """Yield journals: what is in the source's is not in its data yet."""
    image, request = facts.image, facts.request
    if image is None:
        return
    if "journaling" in image.features:
        yield Found(
            str(request.source),
            "It has the feature journaling, and writes that are in its journal alone are in no "
            f"snapshot; disable it with `rbd feature disable {request.rbd_source} journaling`, or "
            "choose --method live.",
            f"rbd feature disable {request.rbd_source} journaling",
        )
    elif "journaling" in target_features(facts, image):
        yield Found(
            str(request.target),
            "The target would get the feature journaling, and every copied byte would go through "
            f"its journal; leave it out, and enable it after the cutover with `rbd feature enable "
            f"{request.target} journaling`.",
            f"rbd feature enable {request.target} journaling",
        )


@check(
    "WARM_IN_GROUP",
    Severity.ERROR,
    "The source is in a group of images.",
    methods=WARM,
    errno=EOPNOTSUPP,
)
def group(facts: Facts) -> Iterator[Found]:
    """Yield the group, which an image leaves without a word when it moves to the trash."""
    image, request = facts.image, facts.request
    if image is None or not image.group:
        return
    name = image.group_spec or image.group.partition("/")[2]
    remove = f"rbd group image rm {shlex.quote(name)} {request.rbd_source}"
    yield Found(
        str(request.source),
        f"It is in the group {name}, whose snapshots need it until the last moment; take it out "
        f"with `{remove}`, and add the target to the group after the cutover.",
        remove,
    )


@check(
    "WARM_CLONES",
    Severity.ERROR,
    "Snapshots of the source have clones, which would lose their parent.",
    methods=WARM,
    errno=EOPNOTSUPP,
)
def clones(facts: Facts) -> Iterator[Found]:
    """Yield clones: librbd moves them to a target only in a migration of its own."""
    image, source = facts.image, facts.request.source
    if image is None or not image.clones:
        return
    more = image.clones - len(image.clone_names)
    names = ", ".join(image.clone_names) + (f" and {more} more" if more > 0 else "")
    first = image.clone_names[0] if image.clone_names else "CLONE"
    yield Found(
        str(source),
        f"Its snapshots have the clones {names}, which stay with the source; make them independent "
        f"with `rbd flatten {first}`, or choose --method live, which moves them to the target.",
        f"rbd flatten {first}",
    )


@check(
    "WARM_PARENT",
    Severity.ERROR,
    "The source is a clone of which the method warm cannot make another one.",
    methods=WARM,
    errno=EOPNOTSUPP,
)
def parent(facts: Facts) -> Iterator[Found]:
    """Yield a parent of which librbd makes no clone, or not one that reads the same."""
    image, request = facts.image, facts.request
    alone = request.layout.flatten or request.spec is not None  # the target gets its data
    if image is None or not image.parent or alone:
        return
    if image.own_encryption:
        yield Found(
            str(request.source),
            f"It is a clone of {image.parent} with an encryption of its own, and what a copy of "
            "its bytes writes could not be told from the parent's; choose --method live.",
            "--method live",
        )
    elif image.parent_trashed:
        yield Found(
            str(request.source),
            f"It is a clone of {image.parent}, which is in the trash, where librbd makes no "
            "clones of it; give --flatten, restore it with `rbd trash restore`, or choose "
            "--method live.",
            "--flatten",
        )


@check(
    "SNAPSHOT_LIMIT",
    Severity.ERROR,
    f"The source may get fewer than {SNAPSHOTS_NEEDED} more snapshots, by `rbd snap limit`.",
    methods=WARM,
    errno=EDQUOT,
)
def snapshot_limit(facts: Facts) -> Iterator[Found]:
    """Yield a limit that leaves no room for the snapshots of rounds."""
    image, source = facts.image, facts.request.source
    if image is None or image.snapshot_limit is None:
        return
    needed = image.all_snapshot_count + SNAPSHOTS_NEEDED
    if image.snapshot_limit < needed:
        command = f"rbd snap limit set {facts.request.rbd_source} --limit {needed}"
        yield Found(
            str(source),
            f"It has {image.all_snapshot_count} snapshots of the {image.snapshot_limit} that its "
            f"limit allows, and a warm migration needs {SNAPSHOTS_NEEDED} more at a time; raise it "
            f"with `{command}`, or remove snapshots.",
            command,
        )


@check(
    "SOURCE_POOL_NEARFULL",
    Severity.WARNING,
    "The source's pool is near full, and what clients overwrite during the copy takes space there.",
    methods=WARM,
)
def nearfull(facts: Facts) -> Iterator[Found]:
    """Yield a pool of the source in which the snapshots of rounds may not fit."""
    image, request = facts.image, facts.request
    name = image.data_pool if image is not None and image.data_pool else request.source.pool
    pool = facts.pools.get(name)
    full = {"nearfull", "backfillfull", "full", "full_quota"}
    if pool is None or name == request.data_pool or not pool.flags & full:
        return
    yield Found(
        name,
        f"The pool {name} of the source is near full, and while it is copied a snapshot keeps what "
        "clients overwrite.",
        "ceph osd df",
    )
