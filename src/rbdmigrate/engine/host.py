"""The process that the engine runs in, as the engine sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..cluster.client import Identity
from .cluster_view import ClusterView, NullClusterView
from .hooks.post import post
from .hooks.sender import Send
from .settings import Settings


@dataclass(frozen=True)
class Host:
    """What the engine needs from the process it runs in.

    ``generation`` grows with every change of the active manager (the manager map's epoch).
    ``on_client`` is told the addresses of the engine's RADOS client, to have them fenced with the
    manager. ``cluster_view`` tells of the cluster's health and its clients. ``send`` sends
    a message to a hook. ``audit`` takes a line for the cluster's audit log.
    """

    identity: Identity
    manager: str
    generation: int
    settings: Callable[[], Settings]
    on_client: Callable[[str], None] = lambda addresses: None
    cluster_view: ClusterView = field(default_factory=NullClusterView)
    send: Send = post
    audit: Callable[[str], None] = lambda line: None
