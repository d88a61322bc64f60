"""Tests of the verification: no false alarms while a client writes, and its speed.

``./run qa verify --runs 50`` runs that many verifications while a client writes; all have to pass.
``./run qa verify --speed`` compares its read rate with that of ``rbd export`` of the same data to
``/dev/null``.
"""
