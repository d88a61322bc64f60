"""A guided tour: one image moves from a pool to another while a client writes to it.

``./run demo`` brings up a cluster of its own, migrates an image with snapshots and a hole, keeps a
client busy on the target all the while, and then compares every byte of the image and of its
snapshots with what must be there.

- ``scenario`` is the tour itself; it runs on any cluster.
- ``content`` knows what the image must hold, without ever reading it.
- ``client`` is the client, a process of its own; ``journal`` is what it remembers.
- ``compare`` reads the target and counts the bytes that differ.
"""
