"""Clients that have an image open for writing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .spec import ImageSpec


@dataclass(frozen=True)
class Watcher:
    """A client that has an image open for writing.

    ``client`` is its number. ``lock``: it holds the exclusive lock. ``kernel``: it is krbd.
    """

    client: int
    address: str
    lock: bool = False
    kernel: bool = False


def name_users(users: Sequence[Watcher]) -> str:
    """``client.4711 at 10.0.0.5:0/123 (holds the exclusive lock), client...``."""
    return ", ".join(
        f"client.{user.client} at {user.address}"
        + (" (holds the exclusive lock)" if user.lock else "")
        for user in users
    )


def source_in_use(source: ImageSpec, users: Sequence[Watcher], guests: Sequence[str] = ()) -> str:
    """The sentence that refuses to prepare a source which clients have open.

    ``guests``: those that agents report to have it open.
    """
    known = f" ({', '.join(guests)})" if guests else ""
    agent = ", or migrate it with --cutover agent while it runs" if guests else ""
    return (
        f"The source {source} is open for writing by {name_users(users)}{known}; stop the client, "
        f"prepare, and start it again on the target{agent}."
    )
