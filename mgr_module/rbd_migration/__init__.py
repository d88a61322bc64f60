"""rbd_migration: RBD live migration as a service of the cluster. ceph-mgr loads this package."""

from .module import Module
from .standby import StandbyModule

__all__ = ["Module", "StandbyModule"]
