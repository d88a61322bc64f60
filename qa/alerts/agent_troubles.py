"""Troubles with an agent on a hypervisor host, which is played by the one who makes them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rbdmigrate.model import agent_messages as messages
from rbdmigrate.model.spec import parse_image_spec

from .site import SOON, Site

_HOST, _GUEST = "host-1", "web-1"


def _poll(site: Site, request: messages.Request) -> Any:
    said = site.cluster.ceph(
        "rbd", "migration", "agent", "poll", _HOST, "-i", "-", input=messages.encode(request)
    )
    return messages.decode_answer(said)


def _with_agent(site: Site, name: str) -> "tuple[str, messages.Inventory]":
    """A migration that waits for an agent to move its guest; the target, and what it reports."""
    source, target = site.image(name)
    disk = messages.OpenDisk(parse_image_spec(source, "rbd", "image"), "/vda")
    guest = messages.OpenGuest(_GUEST, "uuid-1", "running", (disk,), renames=True)
    site.ask("run", source_image=source, target_image=target, cutover="agent", goal="cut-over",
             name_changes=True, max_pause="1s", verify="none")  # fmt: skip
    site.wait(target, "executed")
    return target, messages.Inventory("1", (guest,))


@contextmanager
def agent_lost(site: Site) -> "Iterator[None]":
    """An agent does not report any more; after two minutes it counts as lost."""
    target, inventory = _with_agent(site, "lost")
    _poll(site, inventory)
    yield
    site.ask("agent rm", host=_HOST)
    site.abort(target)


@contextmanager
def guest_paused_too_long(site: Site) -> "Iterator[None]":
    """An agent says that its guest was paused for longer than allowed."""
    target, inventory = _with_agent(site, "paused")
    idents = tuple(disk.migration for move in _orders(site, inventory) for disk in move.disks)

    def may_pause() -> bool:
        return bool(_poll(site, messages.Ready("t", _GUEST, idents)).go)

    site.cluster.wait_for(may_pause, SOON, "the permission to pause the guest")
    _poll(site, messages.Released("t", _GUEST, idents))
    site.wait(target, "cut-over")
    _poll(site, messages.Resumed("t", _GUEST, idents, 9.0))
    yield
    site.ask("commit", target_image=target)
    site.wait(target, "committed")
    site.ask("agent rm", host=_HOST)


def _orders(site: Site, inventory: messages.Inventory) -> "tuple[messages.GuestMove, ...]":
    """The moves that are ordered, once there are some."""
    deadline = time.monotonic() + SOON
    while True:
        moves: tuple[messages.GuestMove, ...] = _poll(site, inventory).moves
        if moves or time.monotonic() > deadline:
            return moves
        time.sleep(0.5)
