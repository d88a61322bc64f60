"""QEMU's block graph: nodes, who uses them, and the devices on top."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from .errors import GuestError, Refused
from .model import ImageLocation, Options
from .option_text import flat, rbd_name
from .qmp import Monitor

NODE, BACKEND = "block-driver", "block-backend"


@dataclass(frozen=True)
class Node:
    """A block node."""

    name: str
    driver: str
    size: int
    read_only: bool
    direct: bool
    no_flush: bool
    detect_zeroes: str
    bitmaps: tuple[str, ...]
    shown: Optional[Options]
    """The options that QEMU shows; None if they cannot be read."""

    @property
    def location(self) -> Optional[ImageLocation]:
        """The image of an RBD node, if QEMU shows it."""
        if self.driver != "rbd" or self.shown is None:
            return None
        pool, image = self.shown.get("pool"), self.shown.get("image")
        if not pool or not image:
            return None
        return ImageLocation(str(pool), str(self.shown.get("namespace", "")), str(image))


@dataclass(frozen=True)
class Device:
    """A device with a disk in it."""

    path: str
    backend: str
    """The name of its block backend; only old ``-drive`` gives one."""
    node: str
    """The topmost node; empty without a medium."""


@dataclass(frozen=True)
class User:
    """One that uses a node: another node, a device, a job ..."""

    name: str
    kind: str


@dataclass(frozen=True)
class Graph:
    """All of it at one moment."""

    nodes: dict[str, Node]
    devices: tuple[Device, ...]
    users: dict[str, tuple[User, ...]]
    """Who uses each node, by its name."""

    def device(self, path: str) -> Optional[Device]:
        return next((each for each in self.devices if each.path == path), None)

    def child(self, name: str) -> str:
        """The one node below the node ``name``; empty if there is none, or several."""
        below = [node for node, users in self.users.items() if User(name, NODE) in users]
        return below[0] if len(below) == 1 else ""

    def chain(self, leaf: str) -> Iterator[User]:
        """Who uses the leaf, who uses that, and so on; the end is not a node.

        It ends early where something has no user, or more than one.
        """
        users = self.users.get(leaf, ())
        while len(users) == 1:
            yield users[0]
            users = self.users.get(users[0].name, ()) if users[0].kind == NODE else ()


def look(monitor: Monitor) -> Graph:
    """Ask QEMU. Raises GuestError."""
    try:
        return _look(monitor)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise GuestError(
            "QEMU describes its block nodes in a way that is not understood."
        ) from error


def _look(monitor: Monitor) -> Graph:
    nodes = {node.name: node for node in map(_node, _list(monitor, "query-named-block-nodes"))}
    devices = tuple(
        Device(
            _path(entry["qdev"]), entry["device"], entry.get("inserted", {}).get("node-name", "")
        )
        for entry in _list(monitor, "query-block")
        if entry.get("qdev")
    )
    try:
        graph = monitor.execute("x-debug-query-block-graph")
    except Refused as error:
        raise GuestError(f"This QEMU does not show who uses its block nodes. {error}") from error
    names = {node["id"]: User(node["name"], node["type"]) for node in graph["nodes"]}
    users: dict[str, tuple[User, ...]] = {}
    for edge in graph["edges"]:
        child = names[edge["child"]].name
        users[child] = (*users.get(child, ()), names[edge["parent"]])
    return Graph(nodes, devices, users)


def is_of(user: User, device: Device) -> bool:
    """Whether the block backend ``user`` is that of the device."""
    return (
        user.kind == BACKEND
        and bool(user.name)
        and (user.name == device.backend or _path(user.name) == device.path)
    )


def _list(monitor: Monitor, command: str) -> list[Any]:
    arguments = {"flat": True} if command == "query-named-block-nodes" else None
    answer = monitor.execute(command, arguments)
    if not isinstance(answer, list):
        raise GuestError(f"QEMU gave an answer to {command} that is not a list.")
    return answer


def _path(qdev: str) -> str:
    return qdev if qdev.startswith("/") else f"/machine/peripheral/{qdev}"


def _node(entry: Any) -> Node:
    image, cache = entry.get("image", {}), entry.get("cache", {})
    return Node(
        name=str(entry.get("node-name", "")),
        driver=str(entry.get("drv", "")),
        size=int(image.get("virtual-size", 0)),
        read_only=bool(entry.get("ro")),
        direct=bool(cache.get("direct")),
        no_flush=bool(cache.get("no-flush")),
        detect_zeroes=str(entry.get("detect_zeroes", "off")),
        bitmaps=tuple(str(each.get("name", "")) for each in entry.get("dirty-bitmaps", ())),
        shown=_shown(str(image.get("filename", ""))),
    )


def _shown(filename: str) -> Optional[Options]:
    """Read how QEMU names the file of a node; None if that does not tell the options."""
    if filename.startswith("json:"):
        try:
            found = json.loads(filename[5:])
        except (ValueError, RecursionError):  # QEMU cuts long ones off
            return None
        return flat(found) if isinstance(found, dict) else None
    named = rbd_name(filename)
    if named is None:
        return None
    place, options = named
    user = {"user": options["id"]} if "id" in options else {}
    conf = {"conf": options["conf"]} if "conf" in options else {}
    return {
        "driver": "rbd",
        "pool": place.pool,
        "namespace": place.namespace,
        "image": place.image,
        **user,
        **conf,
    }
