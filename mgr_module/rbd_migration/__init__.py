"""rbd_migration: RBD live migration as a service of the cluster. What ceph-mgr loads."""

from .module import Module

__all__ = ["Module"]
