"""Gauges of the running engine that the summary of all migrations does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Gauges:
    """Numbers of now. ``plans`` by state, ``warnings`` by code, ``agents`` that report or are lost,
    ``hooks`` that take their messages or fail to.

    ``oldest_waiting``: seconds since the creation of the oldest migration that is held before its
    copy.
    """

    plans: Mapping[str, int]
    warnings: Mapping[str, int]
    agents: Mapping[str, int]
    hooks: Mapping[str, int]
    oldest_waiting: float
