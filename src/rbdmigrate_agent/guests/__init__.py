"""The guests of this host: which images they have open, and exchanging one for another.

It needs neither Ceph nor its bindings: QEMU opens and closes the images.
"""
