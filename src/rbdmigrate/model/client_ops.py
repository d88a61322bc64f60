"""Operations of clients on a pool in a period of time, as counted by the OSDs."""

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
