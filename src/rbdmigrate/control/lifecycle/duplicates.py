"""Records that share an image. Pure.

No image may be in two records. If it is (a pool was restored from a copy, a write
came late), one could commit or abort the migration of the other, so neither is acted on until the
administrator removes one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from ...model.migration import Migration

_NAMED = 5  # records that a sentence names; a pool with thousands may have been copied


def duplicates(records: Iterable[Migration]) -> dict[str, str]:
    """The ids of migrations that share a source or a target, each with a sentence about it.

    Images are compared by their ids, targets that have none yet by their names. Several imports
    may read one source.
    """
    sharing: defaultdict[tuple[str, Hashable], list[Migration]] = defaultdict(list)
    for m in records:
        if m.state.ended:
            continue  # about to be moved to the history
        if m.imported is None and m.source.image_id:
            sharing["source", (m.source.pool_id, m.source.namespace, m.source.image_id)].append(m)
        place = (m.target.pool_id, m.target.namespace)
        sharing["target", (*place, "name", m.target.image)].append(m)
        if m.target.image_id:
            sharing["target", (*place, "id", m.target.image_id)].append(m)
    found: dict[str, str] = {}
    for (end, _), group in sharing.items():
        if len(group) > 1 and (end == "source" or not _only_names(group)):
            named = group[: _NAMED + 1]
            for m in group:
                found.setdefault(m.id, _sentence(end, m, named, len(group) - 1))
    return found


def _only_names(group: list[Migration]) -> bool:
    """Whether all targets have different ids: then renamed images have swapped names."""
    idents = [m.target.image_id for m in group]
    return all(idents) and len(set(idents)) == len(idents)


def _sentence(end: str, m: Migration, named: list[Migration], count: int) -> str:
    """``named``: the first that share the image, of ``count`` besides this one."""
    image = (m.source if end == "source" else m.target).spec
    names = [_called(other) for other in named if other is not m][:_NAMED]
    more = f" and {count - len(names)} more" if count > len(names) else ""
    others = ", ".join(names) + more
    namespace = f" -N {m.target.namespace}" if m.target.namespace else ""
    return (
        f"The {end} {image} is in more than one record: in {_called(m)} and in {others}; none of "
        "them is acted on. Remove the key of the one that was not requested, such as `rados -p "
        f"{m.target.pool}{namespace} rmomapkey rbd_migration migration.{m.id}`, then `ceph mgr "
        "fail`."
    )


def _called(m: Migration) -> str:
    return f"migration.{m.id} ({m.source.spec} to {m.target.spec}, {m.state.value})"
