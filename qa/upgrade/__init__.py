"""Recording the stores that a version writes, as fixtures for the tests of later versions.

``./run qa upgrade TREE FILE`` takes a source tree of the version that is to be recorded, moves and
imports images with it on a cluster of its own, and writes what is then in RADOS to a file.

The file is kept in ``tests/cluster/stores``, under the name of the commit that TREE is of, as
``git rev-parse --short=7`` gives it. That names what wrote the records more exactly than the
schema's number or the version's, which stay the same while fields are added. Record one whenever a
record gets a field, loses one, or means another thing by it; a file that was recorded is never
recorded anew, as there are clusters with such records.
"""
