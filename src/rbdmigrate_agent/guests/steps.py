"""Steps for the whole guest: pausing it, and continuing it with all its disks in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from .errors import GuestError
from .exchanging import where
from .inventory import status_of
from .model import DiskExchange, Where
from .qmp import Monitor

_RUNNING, _PAUSED = "running", "paused"
_CAN_GO_ON = (_PAUSED, "io-error")


def pause(monitor: Monitor, name: str, stop: Callable[[], object]) -> str:
    """Pause the guest with ``stop``; return its status before. Raises GuestError."""
    before = status_of(monitor)
    if before not in (_RUNNING, _PAUSED):
        raise GuestError(f"Guest {name} is neither running nor paused but {before}.")
    if before == _RUNNING:
        stop()
        now = status_of(monitor)
        if now == _RUNNING:
            raise GuestError(f"Guest {name} was told to stop but runs on.")
    return before


def resume(
    monitor: Monitor, exchanges: Sequence[DiskExchange], go_on: Callable[[], object]
) -> bool:
    """Continue the guest with ``go_on``, if it ran before; return whether it runs.

    Raises GuestError, without having continued it, when a disk has the wrong thing in it.
    """
    for exchange in exchanges:
        found = where(monitor, exchange).where
        if found not in (Where.SOURCE, Where.TARGET):
            raise GuestError(
                f"Guest {exchange.guest} is not continued: its disk {exchange.source} has "
                f"{'no image open' if found is Where.PLACEHOLDER else 'an unknown image open'}."
            )
    status = status_of(monitor)
    if status != _RUNNING and status in _CAN_GO_ON and exchanges[0].was == _RUNNING:
        go_on()
        status = status_of(monitor)
    return status == _RUNNING
