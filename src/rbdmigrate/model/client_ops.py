"""What clients did to a pool in a while, as the OSDs count it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClientOps:
    """Operations of one client on one pool: ``ops`` of them took ``seconds`` in all, at the OSDs.

    ``pool`` is an id, ``client`` the number of a RADOS client (4711 of ``client.4711``).
    """

    pool: int
    client: int
    ops: int
    seconds: float
