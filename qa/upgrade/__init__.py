"""Recording the stores that a version writes, as fixtures for the tests of later versions.

``./run qa upgrade TREE FILE`` takes a source tree of the version to record, moves and imports
images with it on a cluster of its own, and writes the contents of RADOS to a file. The file is kept
in ``tests/cluster/stores``, under the name of TREE's commit, as ``git rev-parse --short=7`` gives
it. That identifies the writer of the records more exactly than the schema's number or the
version's, which stay the same while fields are added.

Record one whenever a field is added to a record, removed, or changes its meaning. Never record a
file again, because there are clusters with such records.
"""
