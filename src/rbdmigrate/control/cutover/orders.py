"""Which guests of a host are to be paused now, so that their disks move. Pure.

All disks of a guest that are due move in one pause. A guest waits while another of its disks is
still being copied, and is left alone while one of them cannot be exchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...model.agent_messages import DiskMove, GuestMove, OpenDisk, OpenGuest
from ...model.cutover import CutoverMode
from ...model.migration import Migration
from ...model.rounds import hidden_name
from ...model.spec import ImageSpec
from ...model.states import State
from ..lifecycle.cutover import (
    by_prepare,
    goes_back,
    image_in_use,
    may_be_released,
    waits_for_clients,
)

_MOVABLE = frozenset({"running", "paused"})  # QEMU's states in which a guest can be moved
_COMES = frozenset({State.QUEUED, State.PREPARING, State.PREPARED, State.EXECUTING})


@dataclass(frozen=True)
class MovesNow:
    """The guests to be paused; ``reasons``: by migration, why it is not moved yet."""

    moves: tuple[GuestMove, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


def moves_now(
    host: str, guests: Sequence[OpenGuest], migrations: Iterable[Migration], now: float
) -> MovesNow:
    """Return what the agent on ``host`` is to do, which has these ``guests``."""
    wanted = {
        image_in_use(m).spec: m
        for m in migrations
        if m.cutover.mode is CutoverMode.AGENT and waits_for_clients(m)
    }
    moves: list[GuestMove] = []
    reasons: dict[str, str] = {}
    for guest in guests:
        disks = [(wanted[disk.image], disk) for disk in guest.disks if disk.image in wanted]
        reason = _obstacle(host, guest, guests, disks)
        due = [m for m, _ in disks if may_be_released(m, CutoverMode.AGENT, now)]
        coming = [m for m, _ in disks if m not in due and _comes(m)]
        if not reason and due and coming:
            names = ", ".join(str(image_in_use(m).spec) for m in coming)
            reason = (
                f"The guest {guest.name} on {host} has another disk that is still being copied "
                f"({names}); all of them move in one pause."
            )
        if due and not reason:
            moves.append(_move(guest, due))
            reason = f"The guest {guest.name} on {host} is about to be paused."
        if reason:
            reasons.update({m.id: reason for m, _ in disks})
    return MovesNow(tuple(moves), reasons)


def _move(guest: OpenGuest, due: Sequence[Migration]) -> GuestMove:
    disks = tuple(_disk(m) for m in due)
    return GuestMove(guest.ident, disks, min(m.cutover.max_pause for m in due))


def _disk(m: Migration) -> DiskMove:
    if goes_back(m):
        return DiskMove(m.id, m.target.spec, m.source.spec, back=True)
    if by_prepare(m):  # there is no target to try before
        return DiskMove(m.id, m.source.spec, m.target.spec)
    copy = ImageSpec(m.target.pool, m.target.namespace, hidden_name(m.id))
    return DiskMove(m.id, m.source.spec, m.target.spec, copy=copy)


def _comes(m: Migration) -> bool:
    """Whether it is going to be due by itself, soon enough to wait for it."""
    return m.state in _COMES and not m.paused and m.hold is None


def _obstacle(
    host: str,
    guest: OpenGuest,
    guests: Sequence[OpenGuest],
    disks: Sequence[tuple[Migration, OpenDisk]],
) -> str:
    """Why the guest must not be paused for these disks; or empty."""
    called = f"The guest {guest.name} on {host}"
    for m, disk in disks:
        if disk.reason:
            return f"{called} has {disk.image} open, which cannot be exchanged: {disk.reason}"
        if not m.in_place and not guest.renames and not m.cutover.name_changes:
            return (
                f"{called} would open {disk.image} again at its next start, because nobody changes "
                "its definition; change it, and add --name-changes to the cutover, or migrate in "
                "place."
            )
        others = [g.name for g in guests if g is not guest and _has(g, disk.image)]
        if others:
            return f"{called} shares {disk.image} with {', '.join(others)}; stop all but one."
    if disks and guest.status not in _MOVABLE:
        return f"{called} is {guest.status}, so it is left alone until it runs or is paused."
    return ""


def _has(guest: OpenGuest, image: ImageSpec) -> bool:
    return any(disk.image == image for disk in guest.disks)
