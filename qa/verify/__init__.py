"""What verification is worth: no false alarms beside a writing client, and its speed.

``./run qa verify --runs 50`` verifies that many migrations beside a client that writes; all
have to pass. ``./run qa verify --speed`` compares the rate at which it reads with that of
``rbd export`` of the same data to ``/dev/null``.
"""
