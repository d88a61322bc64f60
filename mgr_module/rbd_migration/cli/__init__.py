"""The commands ``ceph rbd migration ...``: arguments, what they call, how results are shown."""
