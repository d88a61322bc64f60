"""Two pools and a source, for tests of what a check finds about an image."""

from collections.abc import Sequence
from typing import Any, Callable

import rados

from qa.devcluster import Cluster
from qa.workload.images import MIB, make_image
from tests.cluster.commands import Commands


class Stage:
    """Two pools, and a source in the first."""

    def __init__(
        self,
        cluster: Cluster,
        client: rados.Rados,
        migration: Commands,
        pools: "tuple[str, str]",
        make_pool: Callable[..., str],
    ) -> None:
        self.cluster, self.client, self.migration = cluster, client, migration
        self.make_pool = make_pool
        self.hdd, self.nvme = pools
        self.source, self.target = f"{self.hdd}/disk", f"{self.nvme}/disk"

    def make(self, spec: str = "", size: int = MIB, **options: Any) -> None:
        make_image(self.client, spec or self.source, size=size, **options)

    def check(self, *args: str) -> Any:
        """Return what is found, for the method live unless another one is given."""
        return self.migration.json("check", *args, *self.method_of(args))

    @staticmethod
    def method_of(args: "Sequence[str]") -> "tuple[str, ...]":
        """The method live, unless another one is given."""
        return () if "--method" in args or "--import-only" in args else ("--method", "live")
