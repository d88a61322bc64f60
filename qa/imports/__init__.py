"""Random disks of many formats, some with a fault, are imported and compared byte by byte.

Every source has a kind and a seed. It is given to ``ceph rbd migration check``. One that is
accepted is imported to its commit, and the head and every snapshot have to equal the disk. For one
that is refused, the named remedy is followed: its command is run, or its option is given. The
result is imported and compared in the same way.
"""
