"""A guided tour: one image moves from a pool to another while a client writes to it.

``./run demo`` starts a cluster of its own, migrates an image with snapshots and a hole while a
client writes to the target, and then compares every byte of the image and of its snapshots with
the expected content.

- ``scenario`` is the tour itself; it runs on any cluster.
- ``content`` knows the expected content, without reading the image.
- ``client`` is the client, a process of its own; ``journal`` is the record of its writes.
- ``compare`` reads the target and counts the bytes that differ.
"""
