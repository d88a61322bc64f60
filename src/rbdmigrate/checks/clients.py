"""Clients of the source: who has it open, and what they will meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from errno import EBUSY

from ..model.finding import Severity
from ..model.watchers import source_in_use
from .facts import Facts
from .registry import Found, check


@check(
    "SOURCE_IN_USE",
    Severity.ERROR,
    "Clients have the source open for writing; they are named, with the holder of the exclusive "
    "lock.",
    errno=EBUSY,
)
def in_use(facts: Facts) -> Iterator[Found]:
    """Clients that have to be stopped."""
    users = facts.image.users if facts.image is not None else ()
    if users:
        source = facts.wish.source
        yield Found(
            str(source),
            source_in_use(source, [asdict(user) for user in users]),
            f"rbd status {source}",
        )


@check(
    "KERNEL_CLIENT",
    Severity.WARNING,
    "A kernel client (krbd) has the source mapped; it cannot map the target before the commit.",
    untested="needs the kernel's rbd module",
)
def kernel(facts: Facts) -> Iterator[Found]:
    """krbd users, as far as their watches tell."""
    for user in facts.image.users if facts.image is not None else ():
        if user.kernel:
            yield Found(
                str(facts.wish.source),
                f"client.{user.client} at {user.address} is a kernel client (krbd), which cannot "
                "map the target until the migration is committed.",
                f"rbd device unmap {facts.wish.source}",
            )
