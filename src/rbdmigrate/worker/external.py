"""What reading an external source needs of a job: the reach policy, and config-keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..cluster import config_keys
from ..model.codec import from_plain
from ..model.reach import Reach
from ..model.source import CONFIG


def reach_of(args: dict[str, Any]) -> Reach:
    """The reach policy that the job was given."""
    return from_plain(Reach, args["reach"], "reach")


def resolver(session: Any) -> Callable[[str], str]:
    """From a config-key, also as a reference, to its value. It raises MigrationError."""

    def resolve(key: str) -> str:
        return config_keys.get(session.rados, key.removeprefix(CONFIG))

    return resolve
