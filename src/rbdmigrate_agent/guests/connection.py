"""What the agent asks of the guests of its host, whoever manages them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Protocol

from .model import (
    DiskExchange,
    Guest,
    GuestDisk,
    ImageLocation,
    Inventory,
    Position,
    Side,
)


class GuestConnection(Protocol):
    """All guests that one connection reaches.

    Every method connects, acts and disconnects. It raises GuestError when something does not
    happen: NoAnswer after the time limit, while it may still happen; GuestGone when QEMU has ended.
    Every method can be repeated, also by another process, whatever an earlier one got done.
    """

    def guests(self) -> Inventory:
        """Take down all guests. Raises nothing: what cannot be asked is in ``failures``."""

    def obstacles(self, guest: Guest, disks: Sequence[GuestDisk]) -> list[str]:
        """Return what is in the way of exchanging these disks, a sentence each."""

    def plan(self, guest: Guest, disk: GuestDisk, target: ImageLocation) -> DiskExchange:
        """Return what has to be stored before the guest is paused. Changes nothing."""

    def prepare(self, exchanges: Sequence[DiskExchange]) -> None:
        """Do what can be done while the guest runs: add the placeholders."""

    def try_open(self, exchange: DiskExchange, location: ImageLocation) -> None:
        """Make sure, while the guest runs, that QEMU can open an image with the disk's options."""

    def pause(self, guest: Guest) -> str:
        """Pause a running guest; return its status before."""

    def close(self, exchanges: Sequence[DiskExchange]) -> None:
        """Close the images of disks of one paused guest, source or target."""

    def open(
        self, exchange: DiskExchange, side: Side, location: Optional[ImageLocation] = None
    ) -> None:
        """Open an image for the disk of a paused guest, and give it to the guest.

        ``location`` is where the image of that side is now, if it is not where it was planned.
        """

    def resume(self, exchanges: Sequence[DiskExchange]) -> bool:
        """Continue the guest of these exchanges, if it ran before; return whether it runs.

        Refused while one of the disks has a placeholder.
        """

    def where(self, exchange: DiskExchange) -> Position:
        """Return what the disk of the guest is now. ``Where.GONE`` when this QEMU has ended."""

    def tidy(self, exchanges: Sequence[DiskExchange]) -> None:
        """Delete what exchanges left in QEMU's memory, after their end is on record."""

    def redefine(self, exchange: DiskExchange, location: ImageLocation) -> str:
        """Let the guest's next start open ``location``.

        Returns a sentence about what is left for others to do; empty if nothing is.
        """
