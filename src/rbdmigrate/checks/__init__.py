"""Checks before a migration, when nothing was changed yet. Pure.

A check is a small function that takes :class:`~rbdmigrate.checks.facts.Facts` gathered before, and
yields what it found. It is declared once, with its code and severity, in the file of its subject.
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
    warm,
)
from .registry import CHECKS, Check, first_error, refuse, run

# In this order: missing pools and images come before their properties.
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
        warm,
        capacity,
        platform,
        known_faults,
    )
)
CHECKS.sort(key=lambda check: SUBJECTS.index(check.function.__module__))

__all__ = ["CHECKS", "Check", "first_error", "refuse", "run"]
