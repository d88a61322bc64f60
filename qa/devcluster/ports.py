"""Free loopback ports, so that several clusters can run at the same time.

A port belongs to a cluster's folder for as long as that folder exists. A file that all clusters of
a user share records this. It is locked while ports are chosen, so that two clusters that start at
the same moment cannot choose the same one.
"""

import fcntl
import json
import os
import random
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from qa.devcluster.errors import DevClusterError

#: Both are below the ports that Linux gives to clients (32768 and up), and above those of Ceph's
#: OSDs and managers (6800 to 7568), which find free ones by themselves.
RANGE = range(20000, 30000)
UNRESERVED = range(30000, 32768)


def reservations_file() -> Path:
    return Path(tempfile.gettempdir()) / f"rbd-devcluster-ports-{os.getuid()}.json"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(
    count: int,
    taken: Iterable[int],
    free: Callable[[int], bool],
    candidates: Iterable[int] = RANGE,
) -> list[int]:
    """The first `count` candidates that are neither taken nor in use."""
    reserved = set(taken)
    chosen: list[int] = []
    for port in candidates:
        if len(chosen) == count:
            break
        if port not in reserved and free(port):
            chosen.append(port)
    if len(chosen) < count:
        raise DevClusterError("No free loopback port is left; take down clusters not in use.")
    return chosen


def reserve(owner: Path, count: int) -> list[int]:
    """Choose `count` ports for the cluster in the folder `owner`, which must exist."""
    path = reservations_file()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held = _still_held(file.read())
        # Ports of the owner belonged to an earlier cluster in the same folder.
        held = {port: holder for port, holder in held.items() if holder != str(owner)}
        chosen = choose(count, held, is_free)
        for port in chosen:
            held[port] = str(owner)
        file.seek(0)
        file.truncate()
        json.dump(held, file)
    return chosen


def _still_held(text: str) -> dict[int, str]:
    """Return the reservations whose cluster still exists."""
    try:
        recorded = json.loads(text or "{}")
    except ValueError:  # a writer was killed while writing: rely on the bind probe
        return {}
    return {int(port): owner for port, owner in recorded.items() if Path(owner).is_dir()}


def free_ports(number: int) -> "list[int]":
    """Ports of loopback that nobody uses now; they are not reserved.

    The kernel gives none of them to a client before it is used.
    """
    candidates = random.sample(UNRESERVED, len(UNRESERVED))
    return choose(number, (), is_free, candidates)
