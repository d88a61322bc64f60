"""What the engine asks of its host about the cluster around the copies: an interface."""

from __future__ import annotations

from typing import Protocol

from ..model.client_ops import ClientOps
from ..model.health import ClusterHealth


class ClusterView(Protocol):
    """The cluster as the process that runs the engine sees it. Called from one thread."""

    def health(self) -> ClusterHealth:
        """The cluster's health now."""

    def client_ops(self) -> list[ClientOps]:
        """What clients did since the last call; empty until the OSDs report again."""

    def report_period(self) -> float:
        """Seconds between two reports of the OSDs."""

    def forget_clients(self) -> None:
        """Stop counting what clients do; the next :meth:`client_ops` starts again."""


class NullClusterView:
    """Surroundings of a host that tells nothing: no gate closes, nothing is guarded."""

    def health(self) -> ClusterHealth:
        """All is well."""
        return ClusterHealth()

    def client_ops(self) -> list[ClientOps]:
        """Nothing was counted."""
        return []

    def report_period(self) -> float:
        """There are no reports."""
        return 5.0

    def forget_clients(self) -> None:
        """Nothing is counted."""
