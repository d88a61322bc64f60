"""Recording the stores that a version writes, as fixtures for the tests of later versions.

``./run qa upgrade TREE FILE`` takes a source tree of the version that is to be recorded, migrates
images with it on a cluster of its own, and writes what is then in RADOS to a file. Do so once for
each version, and keep the file in ``tests/cluster/stores``.
"""
