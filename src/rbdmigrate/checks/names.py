"""The names of source and target: missing and existing images, and migrations of them."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP

from ..model.finding import Severity
from ..model.layout import LayoutOptions
from .facts import Facts
from .registry import ALL, IMAGE_METHODS, LIVE, WARM, Found, check


@check(
    "SOURCE_FORMAT_1",
    Severity.WARNING,
    "The source is an image of format 1; the target has format 2, and only the features that are "
    "asked for.",
    methods=LIVE,
)
def format_1(facts: Facts) -> Iterator[Found]:
    """Yield a source of format 1, which gets another name or pool."""
    name, request = facts.source, facts.request
    if name is None or not name.old_format or name.role or request.in_place:
        return
    none = request.layout.feature_bits() is None
    yield Found(
        str(request.source),
        f"The source {request.source} is an image of format 1 and the target {request.target} "
        "will be of format 2"
        + (", without any feature: snapshots cannot be protected or cloned" if none else "")
        + f". Until the migration ends {request.source} is not listed, and nobody can write to it.",
        "Add --image-feature layering,exclusive-lock,object-map,fast-diff." if none else "",
    )


@check(
    "WARM_FORMAT_1",
    Severity.ERROR,
    "The source is an image of format 1, which the method warm cannot copy.",
    methods=WARM,
    errno=EOPNOTSUPP,
)
def format_1_warm(facts: Facts) -> Iterator[Found]:
    """Yield a source of format 1: it has no id, and cannot have the feature exclusive-lock."""
    name, source = facts.source, facts.request.source
    if name is not None and name.old_format and not name.role:
        yield Found(
            str(source),
            f"The source {source} is an image of format 1, which the method warm cannot copy; "
            "leave out --method warm.",
        )


@check(
    "FORMAT_1_IN_PLACE",
    Severity.ERROR,
    "The source is an image of format 1, and the target would have its name.",
    methods=LIVE,
    errno=EOPNOTSUPP,
)
def format_1_in_place(facts: Facts) -> Iterator[Found]:
    """Yield a source of format 1 in place.

    It has no id, so that it could not be opened together with a target of its name: to compare
    them, or to look what librbd would copy wrong.
    """
    name, source = facts.source, facts.request.source
    if name is not None and name.old_format and not name.role and facts.request.in_place:
        yield Found(
            str(source),
            f"The source {source} is an image of format 1, which cannot be read together with a "
            "target of the same name; give the target another name, and rename it after the "
            "commit.",
            f"ceph rbd migration prepare {source} {source}-2",
        )


@check(
    "SOURCE_MIGRATING",
    Severity.ERROR,
    "The source is already migrating.",
    methods=IMAGE_METHODS,
    errno=EBUSY,
)
def migrating(facts: Facts) -> Iterator[Found]:
    """Yield a source that has a migration, under its name or in the trash."""
    name, source = facts.source, facts.request.source
    if name is None:
        return
    if name.role == "source":
        yield Found(
            str(source),
            f"The source {source} is already migrating, to {name.other}; commit or abort that "
            "migration first.",
            f"ceph rbd migration status {name.other}",
        )
    elif not name.exists and name.reserved_for is not None:
        other = name.reserved_for
        yield Found(
            str(source),
            f"The source {source} is already migrating, to {other}; see "
            f"`ceph rbd migration status {other}`.",
            f"ceph rbd migration status {other}",
        )


@check(
    "SOURCE_IS_TARGET",
    Severity.ERROR,
    "The source is the target of a migration that is not committed yet.",
    methods=IMAGE_METHODS,
    errno=EBUSY,
)
def is_target(facts: Facts) -> Iterator[Found]:
    """Yield a source that is the target of a migration."""
    name, source = facts.source, facts.request.source
    if name is not None and name.role == "target":
        yield Found(
            str(source),
            f"The source {source} is the target of a migration from {name.other}; commit or abort "
            "that migration first.",
            f"ceph rbd migration status {source}",
        )


@check(
    "SOURCE_IN_TRASH",
    Severity.ERROR,
    "The source does not exist, but an image of its name is in the trash.",
    methods=IMAGE_METHODS,
    errno=ENOENT,
)
def in_trash(facts: Facts) -> Iterator[Found]:
    """Yield a source that a user moved to the trash."""
    name, source = facts.source, facts.request.source
    if name is not None and not name.exists and name.trashed and name.reserved_for is None:
        pool = f"{source.pool}/{source.namespace}" if source.namespace else source.pool
        command = f"rbd trash restore {pool}/{name.trashed}"
        yield Found(
            str(source),
            f"The source {source} is in the trash; `{command}` brings it back.",
            command,
        )


@check(
    "SOURCE_MISSING",
    Severity.ERROR,
    "The source does not exist.",
    methods=IMAGE_METHODS,
    errno=ENOENT,
)
def source_missing(facts: Facts) -> Iterator[Found]:
    """Yield a missing source."""
    name, source = facts.source, facts.request.source
    if name is None or name.exists or name.role or name.reserved_for or name.trashed:
        return
    where = f"{source.pool}/{source.namespace}" if source.namespace else source.pool
    yield Found(
        str(source),
        f"The source {source} does not exist; `rbd ls {where}` lists the images there.",
        f"rbd ls {where}",
    )


@check(
    "NOTHING_CHANGES",
    Severity.ERROR,
    "The target is the source and no layout option is given, so nothing would change.",
    methods=IMAGE_METHODS,
    errno=EINVAL,
)
def nothing_changes(facts: Facts) -> Iterator[Found]:
    """Yield a migration that would change nothing; most likely the target was forgotten."""
    request = facts.request
    if (
        not request.in_place
        or request.spec is not None
        or request.force
        or request.layout != LayoutOptions()
    ):
        return
    yield Found(
        str(request.source),
        f"{request.source} would be copied onto itself and nothing would change; give a target or "
        "a layout option, or add --force to copy it anyway.",
        "Give a target or a layout option.",
    )


@check(
    "TARGET_EXISTS",
    Severity.ERROR,
    "An image of the target's name exists, or a migration under way makes one.",
    methods=ALL,
    errno=EEXIST,
)
def target_exists(facts: Facts) -> Iterator[Found]:
    """Yield an existing target."""
    name, target = facts.target, facts.request.target
    if name is None or facts.request.in_place:
        return
    if name.role == "target" and not name.exists:
        yield Found(
            str(target),
            f"The target {target} is already the target of a migration from {name.other}; choose "
            "another name or abort that one.",
        )
    elif name.exists:
        hint = " (it is the target of a migration)" if name.role == "target" else ""
        yield Found(
            str(target),
            f"The target {target} exists already{hint}; choose another name or remove it.",
        )


@check(
    "TARGET_NAME_RESERVED",
    Severity.ERROR,
    "The target's name belongs to a source of a migration, which needs it back if that is aborted.",
    methods=ALL,
    errno=EEXIST,
)
def reserved(facts: Facts) -> Iterator[Found]:
    """Yield a name that is reserved for the source of another migration."""
    name, target = facts.target, facts.request.target
    if name is None or name.exists or name.reserved_for is None or facts.request.in_place:
        return
    yield Found(
        str(target),
        f"The target's name {target} belongs to an image that is migrating to "
        f"{name.reserved_for} and gets it back if that is aborted; choose another name, or "
        "commit that migration first.",
        f"ceph rbd migration commit {name.reserved_for}",
    )
