"""A Ceph cluster in memory, and threads and time that a test controls.

``doc/design/testing.rst`` says what is modelled and how to write a test with it.
"""
