"""Warnings for clients of a target, in one table.

Until all data is copied, librbd returns wrong data to clients or crashes them after operations
that are harmless with any other image (measured on releases 16.2.15 and 20.2.4; doc:
what-happens-if).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .migration import Migration
from .plan import PlanState
from .states import Goal, Method, State
from .units import format_size


@dataclass(frozen=True)
class ClientWarning:
    """``avoid``: what to do or not to do, ``reason``: what happens otherwise; sentences."""

    code: str
    avoid: str
    reason: str

    @property
    def text(self) -> str:
        """Both sentences in one line."""
        return f"{self.avoid} {self.reason}"

    def to_plain(self) -> dict[str, Any]:
        """The warning as shown in reports."""
        return {"code": self.code, "message": self.text}


@dataclass(frozen=True)
class Rule:
    """A warning, and when it applies.

    ``{target}`` and ``{source}`` stand for the images, ``{source_pool}`` for the source's pool.
    ``snapshots``: only where the source has snapshots. ``pools``: only where the target is in
    another pool. ``until_commit``: it applies until the commit, other rules until all data is
    copied. ``linked``: only while the source is an image of this cluster that the commit removes.
    """

    code: str
    avoid: str
    reason: str
    snapshots: bool = False
    pools: bool = False
    until_commit: bool = False
    linked: bool = False


RULES = (
    Rule(
        "OLD_READS",
        "Start no client on {target} before it is executed.",
        "The source has snapshots: what clients read while it is copied may be old data.",
        snapshots=True,
    ),
    Rule(
        "SNAPSHOT_REMOVE",
        "Remove no snapshot of {target} before it is executed.",
        "librbd then crashes clients that write, and the copy.",
        snapshots=True,
    ),
    Rule(
        "SNAPSHOT_ROLLBACK",
        "Do not roll {target} back to a snapshot before it is executed.",
        "`rbd snap rollback` reports success and the data stays as it was.",
        snapshots=True,
    ),
    Rule(
        "SHRINK",
        "Do not shrink {target} before it is executed.",
        "When it grows again, the data beyond the smaller size comes back.",
    ),
    Rule(
        "INCREMENTAL_BACKUP",
        "Make no incremental backup of {target} before it is executed.",
        "`rbd export-diff` reports success but leaves data out.",
    ),
    Rule(
        "SOURCE_POOL_KEY",
        "Give the keys of its clients access to the pool {source_pool} until it is executed.",
        "A client that may not read the source crashes when it opens {target}; "
        "`profile rbd-read-only pool={source_pool}` is enough.",
        pools=True,
        linked=True,
    ),
    Rule(
        "SOURCE_READERS",
        "Stop everything that reads {source}, backups and read-only mounts too.",
        "They read old data, and after the commit zeros, without an error.",
        until_commit=True,
        linked=True,
    ),
)


def client_warnings(m: Migration) -> list[ClientWarning]:
    """Return the warnings for the clients of this migration, now or once it is prepared."""
    rules = [rule for rule in RULES if _holds(rule, m)] if _has_clients(m) else []
    if not rules:
        return list(target_changes(m))
    names = {  # once: a list of thousands of migrations has them all
        "target": str(m.target.spec),
        "source": str(m.source.spec),
        "source_pool": m.source.pool,
    }
    filled = (
        ClientWarning(rule.code, rule.avoid.format(**names), rule.reason.format(**names))
        for rule in rules
    )
    return [*target_changes(m), *filled]


def warnings_for_plan(state: PlanState) -> list[ClientWarning]:
    """Return the warnings for a plan, whose images may be of any kind; none without future
    targets.
    """
    if state in (PlanState.DONE, PlanState.CANCELLING, PlanState.CANCELLED):
        return []
    return [ClientWarning(rule.code, *_of_many(rule)) for rule in RULES]


def documented() -> list[tuple[str, str, str]]:
    """Return the table of the documentation: code, sentences, and when they apply."""
    rows = []
    for rule in RULES:
        until = "until the commit" if rule.until_commit else "until it is executed"
        images = "images with snapshots" if rule.snapshots else "all images"
        images = "images that change their pool" if rule.pools else images
        rows.append((rule.code, " ".join(_of_many(rule)), f"{images}, {until}"))
    return rows


def _of_many(rule: Rule) -> tuple[str, str]:
    """The sentences of a rule about targets in general."""
    names = {"target": "a target", "source": "the sources", "source_pool": "POOL"}
    avoid, reason = rule.avoid.format(**names), rule.reason.format(**names)
    reason = reason.replace("The source has snapshots: what", "Of an image with snapshots, what")
    return avoid.replace("the pool POOL", "the pool of the source"), reason


def _has_clients(m: Migration) -> bool:
    """Whether clients use a target that is linked to its source, now or once it is prepared."""
    linked = m.prepared_at is not None or m.state in (State.QUEUED, State.PREPARING)
    leaving = m.goal is Goal.ABORTED or m.state in (State.ABORTING, State.COMMITTING)
    if m.state.ended or leaving or not linked:
        return False
    return m.method is not Method.WARM  # there are two ordinary images, one after the other


def _holds(rule: Rule, m: Migration) -> bool:
    if m.imported is not None and (rule.linked or not m.opens_source):
        return False  # it is an ordinary image, or a clone until it is flattened
    if m.executed_at is not None and not rule.until_commit:
        return False
    if rule.pools and m.source.pool_id == m.target.pool_id:
        return False
    return not rule.snapshots or m.snapshots != 0


def target_changes(m: Migration) -> Iterable[ClientWarning]:
    """Return warnings about changes that clients have already made."""
    if m.state.ended:
        return
    target, changes = m.target.spec, m.target_changes
    if changes.trashed:
        yield _in_trash(m)
    if changes.removed and m.executed_at is None:
        names = ", ".join(changes.removed)
        yield ClientWarning(
            "SNAPSHOT_REMOVED",
            f"Stop the clients of {target}.",
            f"Snapshots of it were removed before its data was copied ({names}): librbd crashes "
            "clients that write, and maybe the copy.",
        )
    if changes.shrunk_to is None:
        return
    smallest = format_size(changes.shrunk_to)
    if changes.grown_again:
        yield ClientWarning(
            "TARGET_GROWN_AGAIN",
            f"Check the data of {target} beyond {smallest}.",
            f"It was shrunk to {smallest} before its data was copied and then grew again: data "
            "beyond the smaller size may be back.",
        )
    elif m.executed_at is None:
        yield ClientWarning(
            "TARGET_SHRUNK",
            f"Do not let {target} grow before it is executed.",
            f"It was shrunk to {smallest} before its data was copied; data beyond that size would "
            "come back.",
        )


def _in_trash(m: Migration) -> ClientWarning:
    parts = (m.target.pool, m.target.namespace, m.target.image_id)
    return ClientWarning(
        "TARGET_IN_TRASH",
        f"Run `rbd trash restore {'/'.join(part for part in parts if part)}`.",
        f"{m.target.spec} was moved to the trash; its migration waits until it is restored.",
    )


def waits_for_restore(m: Migration) -> str:
    """The hold message for a target in the trash."""
    return _in_trash(m).text
