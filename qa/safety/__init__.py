"""Random runs judged by the rules of safety, for as long as there is time. Needs no cluster.

``./run qa safety [--minutes 10] [--seed N]``. A run that breaks a rule is made as short as possible
and printed with its seed. ``tests/fakes/safety.py`` has the rules and the steps.
"""
