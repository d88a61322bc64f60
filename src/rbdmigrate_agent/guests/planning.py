"""Plans the exchange of a disk, and looks for what is in its way."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Callable

from . import names
from .command_line import CommandLine
from .errors import GuestError, Refused
from .graph import Graph, look
from .inventory import reopening_of
from .leaf_options import Reopening
from .model import DiskExchange, Guest, GuestDisk, ImageLocation
from .qmp import Monitor

_ENDED_JOBS = ("concluded", "null")
_NO_MIGRATION = ("", "none", "completed", "failed", "cancelled")
_STANDS_OR_RUNS = ("running", "paused")


def plan(
    monitor: Monitor,
    line: CommandLine,
    guest: Guest,
    disk: GuestDisk,
    target: ImageLocation,
    configured: Callable[[Reopening], str],
) -> DiskExchange:
    """Return all that the exchange of ``disk`` needs.

    ``configured`` returns the options of a leaf that has settings besides them. Raises GuestError
    when it cannot be done.
    """
    if disk.fixed:
        raise GuestError(f"{_named(guest, disk)}: {disk.fixed}")
    graph = look(monitor)
    if disk.leaf not in graph.nodes or graph.nodes[disk.leaf].location != disk.location:
        raise GuestError(f"{_named(guest, disk)} changed meanwhile; look at its guest again.")
    found = reopening_of(graph, line, disk)
    if found.fixed:
        raise GuestError(f"{_named(guest, disk)}: {found.fixed}")
    own = names.is_given_by_user(disk.leaf)
    made = DiskExchange(
        guest=guest.name,
        uuid=guest.uuid,
        pid=guest.pid,
        started=guest.started,
        connection=guest.connection,
        was=guest.status,
        device=disk.device,
        leaf=disk.leaf,
        opens_as=disk.leaf if own else names.leaf(guest.uuid, disk.device),
        above=disk.above,
        above_options=found.above_options,
        leaf_options=configured(found) if found.settings else found.leaf,
        source=disk.location,
        target=target,
        size=disk.size,
        placeholder=names.placeholder(guest.uuid, disk.device),
        marker=names.marker(guest.uuid, disk.device, secrets.token_hex(4)),
    )
    if found.settings:  # the options are not those that QEMU was started with
        try_open(monitor, made, made.source)
    return made


def try_open(monitor: Monitor, exchange: DiskExchange, location: ImageLocation) -> None:
    """Open an image to read, with the options of the disk, and close it again.

    Raises GuestError when QEMU cannot, for example since the guest's user may not.
    """
    node = names.trial(exchange.uuid, exchange.device)
    if node in look(monitor).nodes:  # of an agent that was killed
        monitor.execute("blockdev-del", {"node-name": node})
    options = {**exchange.options(location), "node-name": node, "read-only": True}
    try:
        monitor.execute("blockdev-add", options)
    except Refused as error:
        raise GuestError(
            f"{location} cannot be opened with the options of the disk {exchange.source}: {error}"
        ) from error
    monitor.execute("blockdev-del", {"node-name": node})


def obstacles(monitor: Monitor, guest: Guest, disks: Sequence[GuestDisk]) -> list[str]:
    """Return what is in the way of exchanging these disks, a sentence each. Raises GuestError."""
    try:
        graph = look(monitor)
        found = [f"{_named(guest, disk)}: {disk.fixed}" for disk in disks if disk.fixed]
        status = monitor.execute("query-status")["status"]
        if status not in _STANDS_OR_RUNS:
            found.append(f"{guest.called} is neither running nor paused but {status}.")
        found += _jobs(monitor, guest) + _exports(monitor, graph, guest, disks)
        migration = monitor.execute("query-migrate").get("status", "")
        if migration not in _NO_MIGRATION:
            found.append(f"{guest.called} is being migrated to another host ({migration}).")
        for disk in disks:
            found += _of_disk(graph, guest, disk)
    except (AttributeError, KeyError, TypeError) as error:
        raise GuestError("QEMU does not describe its jobs and exports as expected.") from error
    return found


def _named(guest: Guest, disk: GuestDisk) -> str:
    return f"The disk {disk.location} of {guest.called}"


def _jobs(monitor: Monitor, guest: Guest) -> list[str]:
    """Backups, mirrors, commits, snapshots: any of them, for they may use several disks."""
    return [
        f"{guest.called} has a job {job['type']} ({job['id']}) under way; wait until it has ended."
        for job in monitor.execute("query-jobs")
        if job["status"] not in _ENDED_JOBS
    ]


def _exports(monitor: Monitor, graph: Graph, guest: Guest, disks: Sequence[GuestDisk]) -> list[str]:
    try:
        exports: Any = monitor.execute("query-block-exports")
    except Refused:  # QEMU before 5.2 has no list of them; the graph shows that something is there
        return []
    ours = {name for disk in disks for name in _nodes(graph, disk)}
    return [
        f"{guest.called} exports the node {export['node-name']} ({export['type']}, "
        f"{export['id']}), as backups do; wait until that has ended."
        for export in exports
        if export["node-name"] in ours
    ]


def _nodes(graph: Graph, disk: GuestDisk) -> list[str]:
    return [disk.leaf, *(user.name for user in graph.chain(disk.leaf) if user.name in graph.nodes)]


def _of_disk(graph: Graph, guest: Guest, disk: GuestDisk) -> list[str]:
    named = _named(guest, disk)
    leaf = graph.nodes.get(disk.leaf)
    if leaf is None or leaf.location != disk.location:
        return [f"{named} changed meanwhile; look at its guest again."]
    lost = [disk.leaf] if disk.above else _nodes(graph, disk)
    found = [
        f"{named} has dirty bitmaps of incremental backups at its node {name}, which would be "
        "lost; remove them, and make a full backup afterwards."
        for name in lost
        if graph.nodes[name].bitmaps
    ]
    others = [user.name for user in graph.users.get(disk.leaf, ())]
    if len(others) > 1:
        found.append(f"{named} is used by more than one: {', '.join(map(str, others))}.")
    return found
