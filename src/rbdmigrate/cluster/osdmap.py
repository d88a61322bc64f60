"""Waiting for the latest OSD map, with a timeout."""

from __future__ import annotations

import threading
import time
from errno import ETIMEDOUT
from typing import TYPE_CHECKING

from ..model.errors import MigrationError

if TYPE_CHECKING:
    import rados

TIMEOUT = 15.0  # seconds, as for the other operations of the engine's client
_MOST = 64  # concurrent waits of one client: without a quorum each stays until there is one again

_lock = threading.Lock()
_waits: dict[int, int] = {}  # number of waits, by the number of the RADOS client


def wait_for_latest_osdmap(client: rados.Rados, timeout: float = TIMEOUT) -> None:
    """Wait until the client has an OSD map at least as new as this call. ``timeout`` in seconds.

    librados has no timeout for this and asks the monitors, so without a quorum it never returns.
    Raises ``rados.Error``, and MigrationError(ETIMEDOUT) when the monitors do not answer in time.
    """
    deadline = time.monotonic() + timeout
    number = int(client.get_instance_id())
    if not _count(number, 1):
        raise _no_answer(timeout)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            client.wait_for_latest_osdmap()
        except BaseException as error:  # raised again in the waiting thread
            errors.append(error)
        finally:
            _count(number, -1)

    thread = threading.Thread(target=wait, name="rbdmigrate-osdmap", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the host allows no more threads
        _count(number, -1)
        raise
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        raise _no_answer(timeout)
    if errors:
        raise errors[0]


def _count(client: int, change: int) -> bool:
    """Count a wait of the client that begins (1) or ended (-1); False when there are too many."""
    with _lock:
        count = _waits.pop(client, 0) + change
        if count > 0:
            _waits[client] = min(count, _MOST)
        return count <= _MOST


def _no_answer(timeout: float) -> MigrationError:
    return MigrationError(
        ETIMEDOUT,
        f"The monitors did not answer for {timeout:g} seconds; check `ceph health`, then try "
        "again.",
    )
