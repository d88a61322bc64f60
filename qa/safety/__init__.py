"""Random runs that are checked against the rules of safety, for a given time. Needs no cluster.

``./run qa safety [--minutes 10] [--seed N]``. A run that breaks a rule is shortened as far as
possible and printed with its seed. ``tests/fakes/safety.py`` has the rules and the steps.
"""
