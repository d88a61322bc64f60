"""A fake cluster without managers, for the tests of single parts of the engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from . import rados_module as rados
from .cluster import Cluster
from .simulation import Simulation, running


@contextmanager
def bare_cluster(*pools: str) -> Iterator[Cluster]:
    """The cluster that ``rados`` connects to meanwhile; no simulated thread may fail."""
    with running(Simulation()) as simulation:
        made = Cluster(simulation, *pools)
        rados.use(made)
        yield made
        assert not simulation.errors, simulation.errors


def connected() -> rados.Rados:
    """A client of it."""
    made = rados.Rados()
    made.connect()
    return made
