"""What the agents of hosts reported, and its rows for front ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Optional

from .agent_messages import Inventory
from .report import iso
from .spec import ImageSpec

LOST = 120.0  # seconds without a word after which an agent counts as lost


@dataclass(frozen=True)
class HostReport:
    """The last report of the agent on ``host``; ``at`` in seconds since the epoch.

    ``lost``: that is so long ago that its guests are not known any more.
    """

    host: str
    at: float
    inventory: Inventory
    lost: bool = False

    def seen_from(self, now: float) -> HostReport:
        """The report as it counts at ``now``, in seconds since the epoch."""
        return replace(self, lost=now - self.at > LOST)


@dataclass(frozen=True)
class AgentRow:
    """The agent of a host. ``seen``: when it last reported (ISO 8601); ``guests``: how many."""

    host: str
    seen: Optional[str]
    lost: bool
    version: str
    guests: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ClientRow:
    """A guest that has an image open. ``obstacle``: why the disk cannot be exchanged; None: it can.

    ``seen`` and ``lost`` are of the agent of its host.
    """

    image: str
    host: str
    guest: str
    guest_id: str
    status: str
    device: str
    obstacle: Optional[str]
    seen: Optional[str]
    lost: bool


def agent_rows(reports: Iterable[HostReport]) -> list[AgentRow]:
    """A row for each agent that has reported."""
    return [
        AgentRow(
            host=report.host,
            seen=iso(report.at),
            lost=report.lost,
            version=report.inventory.version,
            guests=len(report.inventory.guests),
            problems=report.inventory.problems,
        )
        for report in reports
    ]


def client_rows(
    reports: Iterable[HostReport], wanted: Callable[[ImageSpec], bool]
) -> list[ClientRow]:
    """A row for each disk of a guest whose image is ``wanted``, by image, host and guest."""
    found = [
        ClientRow(
            image=str(disk.image),
            host=report.host,
            guest=guest.name,
            guest_id=guest.ident,
            status=guest.status,
            device=disk.device,
            obstacle=disk.reason or None,
            seen=iso(report.at),
            lost=report.lost,
        )
        for report in reports
        for guest in report.inventory.guests
        for disk in guest.disks
        if wanted(disk.image)
    ]
    return sorted(found, key=lambda row: (row.image, row.host, row.guest))
