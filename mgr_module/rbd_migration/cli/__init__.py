"""The commands ``ceph rbd migration ...``: their arguments, calls of the engine and output."""
