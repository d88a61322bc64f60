"""Takes down a guest: what QEMU says of itself and of the RBD images that it has open."""

from __future__ import annotations

from typing import Optional

from .command_line import CommandLine
from .errors import GuestError, Refused
from .graph import BACKEND, NODE, Device, Graph, Node, User, is_of, look
from .leaf_options import Reopening, reopening
from .model import Guest, GuestDisk, ImageLocation
from .names import is_placeholder
from .qmp import Monitor

_DEVICES = ("virtio-blk-device", "scsi-hd", "ide-hd")


def take_down(
    monitor: Monitor, connection: str, pid: int, started: int, line: CommandLine
) -> Guest:
    """Return the guest behind ``monitor``. Raises GuestError."""
    name, uuid, status = identity(monitor)
    graph = look(monitor)
    leaves = [node for node in graph.nodes.values() if node.driver == "rbd"]
    waiting = [device.path for device in graph.devices if _waits(graph, device)]
    return Guest(
        name=name,
        uuid=uuid,
        pid=pid,
        started=started,
        status=status,
        disks=tuple(_disk(monitor, graph, line, leaf) for leaf in leaves),
        connection=connection,
        on_placeholder=tuple(sorted(waiting)),
    )


def identity(monitor: Monitor) -> tuple[str, str, str]:
    """Return name, UUID and status. Raises GuestError."""
    try:
        name = monitor.execute("query-name").get("name", "")
        uuid = monitor.execute("query-uuid")["UUID"]
        return str(name), str(uuid), status_of(monitor)
    except (AttributeError, KeyError, TypeError) as error:
        raise GuestError("QEMU does not say its name and state as expected.") from error


def status_of(monitor: Monitor) -> str:
    """Return what the guest does now: ``running``, ``paused`` ... Raises GuestError."""
    return str(monitor.execute("query-status")["status"])


def reopening_of(graph: Graph, line: CommandLine, disk: GuestDisk) -> Reopening:
    """How the image of a disk is opened again."""
    device = graph.device(disk.device)
    if device is None:
        return Reopening(fixed="No device uses it.")
    return reopening(line, graph, graph.nodes[disk.leaf], disk.above, device)


def _disk(monitor: Monitor, graph: Graph, line: CommandLine, leaf: Node) -> GuestDisk:
    users = list(graph.chain(leaf.name))
    above = users[0].name if users and users[0].kind == NODE else ""
    device = _device(graph, users)
    if device and device.backend:
        above = ""  # the nodes of -drive go with the image
    place = leaf.location
    shown = leaf.shown or {}
    if place is None:
        fixed = f"QEMU does not show the options of its node {leaf.name} in full."
    elif device is None:
        fixed = _no_device(users)
    else:
        fixed = _unsupported(monitor, device) or _one_layer(device, users, line)
        if not fixed:
            fixed = reopening(line, graph, leaf, above, device).fixed
    return GuestDisk(
        device=device.path if device else "",
        leaf=leaf.name,
        above=above,
        location=place or ImageLocation("", "", ""),
        user=str(shown.get("user", "")),
        conf=str(shown.get("conf", "")),
        size=leaf.size,
        read_only=leaf.read_only,
        fixed=fixed,
    )


def _device(graph: Graph, users: list[User]) -> Optional[Device]:
    if not users or users[-1].kind != BACKEND:
        return None
    return next((device for device in graph.devices if is_of(users[-1], device)), None)


def _no_device(users: list[User]) -> str:
    if not users or users[-1].kind == NODE:
        return "It is open, but no device of the guest uses it, or not only one."
    return f"It is used by {users[-1].name or 'something without a name'}, not only by a device."


def _unsupported(monitor: Monitor, device: Device) -> str:
    try:
        kind = monitor.execute("qom-get", {"path": device.path, "property": "type"})
    except Refused:
        kind = "an unknown device"
    return "" if kind in _DEVICES else f"Its device is {kind}, not one of {', '.join(_DEVICES)}."


def _one_layer(device: Device, users: list[User], line: CommandLine) -> str:
    """Old ``-drive`` loses what is above the leaf: that may be the one node raw that it made."""
    layers = len(users) - 1
    if device.backend and device.backend not in line.drives:
        return "Its option -drive is not on QEMU's command line."
    return "There are several nodes above the image." if device.backend and layers > 1 else ""


def _waits(graph: Graph, device: Device) -> bool:
    name = device.node
    while name and not is_placeholder(name):
        name = graph.child(name)
    return bool(name)
