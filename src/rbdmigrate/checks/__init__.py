"""Preflight: what can be said before anything is changed. Pure.

A check is a small function from :class:`~rbdmigrate.checks.facts.Facts`, which were gathered
before, to what it found; it is declared once, with its code and severity, in a file by its subject.
"""

from . import (
    capacity,
    clients,
    features,
    images,
    imports,
    known_faults,
    names,
    obstacles,
    platform,
    pools,
)
from .registry import CHECKS, Check, refuse, run

# In this order: what cannot be found comes before what is found of it.
SUBJECTS = tuple(
    subject.__name__
    for subject in (
        pools,
        names,
        imports,
        clients,
        obstacles,
        features,
        images,
        capacity,
        platform,
        known_faults,
    )
)
CHECKS.sort(key=lambda check: SUBJECTS.index(check.look.__module__))

__all__ = ["CHECKS", "Check", "refuse", "run"]
