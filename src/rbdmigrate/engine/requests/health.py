"""Health warnings about migrations under way: the facts of each, and what is decided from them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import rados

from ...cluster import config_keys
from ...control.health.warnings import Code, Facts, keys_needed, lost_agents, warnings
from ...control.lifecycle.schedule import PACED_ACTS
from ...model.errors import MigrationError
from ...model.host_report import HostReport
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from .report import live_hold

log = logging.getLogger(__name__)

_KEYS_EVERY = 60.0  # seconds between two looks at which config-keys there are
_REST = 20.0  # after all migrations were judged: times as long as that took


class Warned(NamedTuple):
    """A warning: ``RBD_MIGRATION_<code>``, the words of its summary, and a line for each case."""

    code: str
    what: str
    lines: list[str]


class HealthWarnings:
    """Judges all migrations under way. ``hosts`` tells what agents reported last.

    ``find`` is for one thread. Only imports with secrets make it ask the monitors, each minute.
    """

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        hosts: Callable[[], list[HostReport]],
        settings: Callable[[], Settings],
    ) -> None:
        self._client = client
        self._registry = registry
        self._hosts = hosts
        self._settings = settings
        self._missing: frozenset[str] = frozenset()
        self._keys_due = 0.0
        self._numbers: dict[str, int] = {code.name: 0 for code in Code}
        self._found: list[Warned] = []
        self._due = 0.0  # on the monotonic clock

    def numbers(self) -> dict[str, int]:
        """Return how many cases each warning had when they were found last. For any thread."""
        return self._numbers

    def find(self) -> list[Warned]:
        """Return every warning, also those without a case.

        With thousands of migrations they are those of some seconds ago.
        """
        began = time.monotonic()
        if began >= self._due:
            self._found = self._judged()
            ended = time.monotonic()
            self._due = ended + _REST * (ended - began)
        return self._found

    def _judged(self) -> list[Warned]:
        tracked, now = self._registry.all(), time.time()
        limits = self._settings().warnings
        lines: dict[Code, list[str]] = {code: [] for code in Code}
        self._look_at_keys(tracked)
        for one in tracked:
            for code, said in warnings(self._facts(one, now), limits).items():
                lines[code].append(said)
        lines[Code.AGENT] = lost_agents(self._hosts(), (one.migration for one in tracked))
        self._numbers = {code.name: len(found) for code, found in lines.items()}
        return [Warned(code.name, code.value, found) for code, found in lines.items()]

    def _facts(self, tracked: TrackedMigration, now: float) -> Facts:
        m = tracked.migration
        runs = m.intent is not None and m.intent.act in PACED_ACTS and tracked.rate_limit != 0
        return Facts(
            migration=m,
            now=now,
            still=time.monotonic() - tracked.progressed_at if runs else None,
            hold=live_hold(tracked),
            missing=tuple(key for key in keys_needed(m) if key in self._missing),
        )

    def _look_at_keys(self, tracked: list[TrackedMigration]) -> None:
        if time.monotonic() < self._keys_due:
            return
        keys = {key for one in tracked for key in keys_needed(one.migration)}
        self._keys_due = time.monotonic() + _KEYS_EVERY
        try:
            self._missing = config_keys.missing(self._client, keys) if keys else frozenset()
        except MigrationError as error:
            log.warning("which config-keys there are is not known: %s", error)
