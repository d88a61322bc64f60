"""The exchange of one disk, command by command.

A placeholder takes the place of the leaf, the leaf is deleted, which closes the image, a leaf for
another image is added, and takes the place of the placeholder. Where there is a node above the
leaf, only that node is told to use another one (``blockdev-reopen``), and all above it stays;
otherwise the device is (``qom-set drive``).

An agent can be killed between any two commands. Every function looks first how far things are, so
it can be repeated, by another process too. Whether the leaf is the source or the target follows
from the marker, a node without a use: it is made before the target is opened, and deleted before
the source is opened again.

The placeholder answers every request with ENOSPC. If somebody continues the guest too early, QEMU
stops it at its first write, and repeats that on the image that comes; nothing is lost silently.
"""

from __future__ import annotations

from . import names
from .errors import GuestError
from .graph import Graph, Node, look
from .inventory import status_of
from .model import DiskExchange, ImageLocation, Options, Position, Side, Where
from .qmp import Monitor

_ENOSPC = 28
_REQUESTS = ("read", "write", "write-zeroes", "discard")
_RUNNING = "running"


def prepare(monitor: Monitor, exchange: DiskExchange) -> None:
    """Add the placeholder while the guest runs. Raises GuestError."""
    graph = _seen(monitor, exchange)
    for name in graph.nodes:
        if names.is_marker_of(name, exchange.uuid, exchange.device) and name != exchange.marker:
            _delete(monitor, name)  # of an exchange that is over
    if exchange.placeholder not in graph.nodes:
        _add_placeholder(monitor, exchange)


def close(monitor: Monitor, exchange: DiskExchange) -> None:
    """Close the image of a paused guest. Raises GuestError; see ``where`` then."""
    _must_stand(monitor, exchange)
    graph = _seen(monitor, exchange)
    if exchange.placeholder not in graph.nodes:
        _add_placeholder(monitor, exchange)
    uses = _uses(graph, exchange)
    if uses in (exchange.leaf, exchange.opens_as):
        _use(monitor, exchange, exchange.placeholder)
    elif uses != exchange.placeholder:
        raise _elsewhere(exchange)
    left = look(monitor).nodes  # a leaf that was written inside of another node is gone already
    for leaf in dict.fromkeys((exchange.leaf, exchange.opens_as)):
        if leaf in left and names.is_given_by_user(leaf):
            _delete(monitor, leaf)


def open_image(
    monitor: Monitor, exchange: DiskExchange, side: Side, location: ImageLocation
) -> None:
    """Open an image for the disk of a paused guest, and give it to the guest.

    Raises GuestError; the disk has the placeholder then, or the image.
    """
    graph = _seen(monitor, exchange)
    uses, marked = _uses(graph, exchange), exchange.marker in graph.nodes
    leaf = graph.nodes.get(exchange.opens_as) or graph.nodes.get(exchange.leaf)
    fits = leaf is not None and leaf.location == location and marked == (side is Side.TARGET)
    if not (fits and leaf is not None and uses == leaf.name):
        _must_stand(monitor, exchange)
        if uses != exchange.placeholder:
            raise GuestError(f"{_named(exchange)} has another image open; close that first.")
        if leaf is not None and not fits:
            _delete(monitor, leaf.name)
        if not fits:
            _mark(monitor, exchange, marked, side)
            _open_leaf(monitor, exchange, location)
        _use(monitor, exchange, exchange.opens_as)
    if exchange.placeholder in graph.nodes:
        _delete(monitor, exchange.placeholder)


def where(monitor: Monitor, exchange: DiskExchange) -> Position:
    """Return how far it is. Raises GuestError."""
    status = status_of(monitor)
    graph = _seen(monitor, exchange)
    uses = _uses(graph, exchange)
    leaf = graph.nodes.get(exchange.opens_as) or graph.nodes.get(exchange.leaf)
    place = leaf.location if leaf else None
    if uses == exchange.placeholder:
        return Position(Where.PLACEHOLDER, place, status)
    if leaf is None or uses != leaf.name or place is None:
        return Position(Where.ELSEWHERE, place, status)
    marked = exchange.marker in graph.nodes
    other = exchange.source if marked else exchange.target
    if place == other and exchange.source != exchange.target:
        return Position(Where.ELSEWHERE, place, status)
    return Position(Where.TARGET if marked else Where.SOURCE, place, status)


def tidy(monitor: Monitor, exchange: DiskExchange) -> None:
    """Delete the marker, once the end of the exchange is recorded elsewhere. Raises GuestError."""
    graph = _seen(monitor, exchange)
    if _uses(graph, exchange) == exchange.placeholder:
        raise GuestError(f"{_named(exchange)} has no image open; the exchange is not over.")
    for name in (exchange.placeholder, exchange.marker):
        if name in graph.nodes:
            _delete(monitor, name)


def _seen(monitor: Monitor, exchange: DiskExchange) -> Graph:
    graph = look(monitor)
    if graph.device(exchange.device) is None:
        raise GuestError(f"{_named(exchange)} is no longer there; it was unplugged.")
    return graph


def _uses(graph: Graph, exchange: DiskExchange) -> str:
    """The node that is in the place of the leaf now; empty if there is none."""
    if exchange.above:
        return graph.child(exchange.above)
    device = graph.device(exchange.device)
    top = device.node if device else ""
    if top in (exchange.leaf, exchange.opens_as, exchange.placeholder):
        return top
    below = graph.child(top)  # the node raw of old -drive
    return below if below == exchange.leaf and not names.is_given_by_user(top) else top


def _use(monitor: Monitor, exchange: DiskExchange, node: str) -> None:
    if exchange.above:
        monitor.execute("blockdev-reopen", {"options": [exchange.options_above(node)]})
    else:
        value = {"path": exchange.device, "property": "drive", "value": node}
        monitor.execute("qom-set", value)


def _add_placeholder(monitor: Monitor, exchange: DiskExchange) -> None:
    zeros: Options = {"driver": "null-co", "size": exchange.size, "read-zeroes": True}
    faults = [
        {"event": "none", "iotype": kind, "errno": _ENOSPC, "once": False} for kind in _REQUESTS
    ]
    placeholder = {"driver": "blkdebug", "node-name": exchange.placeholder, "image": zeros}
    monitor.execute("blockdev-add", {**placeholder, "inject-error": faults})


def _mark(monitor: Monitor, exchange: DiskExchange, marked: bool, side: Side) -> None:
    if side is Side.TARGET and not marked:
        monitor.execute("blockdev-add", {"driver": "null-co", "node-name": exchange.marker})
    elif side is Side.SOURCE and marked:
        _delete(monitor, exchange.marker)


def _open_leaf(monitor: Monitor, exchange: DiskExchange, location: ImageLocation) -> None:
    monitor.execute("blockdev-add", exchange.options(location))
    leaf: Node = look(monitor).nodes[exchange.opens_as]
    if leaf.size != exchange.size:
        _delete(monitor, leaf.name)
        raise GuestError(
            f"{location} has {leaf.size} bytes, but {_named(exchange)} has {exchange.size}; "
            "it was not given to the guest."
        )


def _delete(monitor: Monitor, node: str) -> None:
    monitor.execute("blockdev-del", {"node-name": node})


def _must_stand(monitor: Monitor, exchange: DiskExchange) -> None:
    if status_of(monitor) == _RUNNING:
        raise GuestError(f"Guest {exchange.guest} runs; pause it first.")


def _elsewhere(exchange: DiskExchange) -> GuestError:
    return GuestError(f"{_named(exchange)} is not as it was left; nothing was changed.")


def _named(exchange: DiskExchange) -> str:
    return f"The disk {exchange.source} ({exchange.device}) of guest {exchange.guest}"
