"""The ways to the guests of this host that the settings name."""

from __future__ import annotations

from .guests.connection import GuestConnection
from .guests.libvirt_guests import LibvirtGuests
from .guests.plain_qemu import PlainGuests
from .settings import Settings

LIBVIRT, QMP = "libvirt", "qmp"
RENAMES = frozenset({LIBVIRT})
"""Those by which a guest's definition can be given another image name."""


def connections(settings: Settings) -> dict[str, GuestConnection]:
    """Return them by name. A guest that several reach is the last one's: libvirt has to know of it.

    Raises GuestError when Python's libvirt library is needed and missing.
    """
    found: dict[str, GuestConnection] = {}
    if settings.qmp:
        found[QMP] = PlainGuests(folders=settings.qmp, confs=settings.state / "ceph")
    if settings.libvirt:
        found[LIBVIRT] = LibvirtGuests(uri=settings.libvirt)
    return found
