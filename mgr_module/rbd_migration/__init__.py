"""rbd_migration: RBD live migration as a service of the cluster. What ceph-mgr loads."""

from .module import Module
from .standby import StandbyModule

__all__ = ["Module", "StandbyModule"]
