"""The options of the health warnings: from when on they are raised."""

from typing import Any, Callable, Dict, List

from rbdmigrate.control.health.warnings import Limits
from rbdmigrate.model.errors import MigrationError

_DEFAULTS = Limits()

HEALTH_OPTIONS: List[Dict[str, Any]] = [
    {
        "name": "warn_stalled",
        "type": "float",
        "default": _DEFAULTS.stalled,
        "desc": "seconds without progress after which a running copy is warned of; 0 is never",
        "runtime": True,
    },
    {
        "name": "warn_unfinished",
        "type": "float",
        "default": _DEFAULTS.unfinished,
        "desc": "hours between prepare and commit after which a migration is warned of; 0 is never",
        "runtime": True,
    },
]


def limits(get: Callable[[str], Any]) -> Limits:
    """Return the limits that are set. Raises MigrationError(EINVAL), naming the option."""

    def bound(name: str) -> float:
        value = float(get(name))
        if not value >= 0:
            raise MigrationError(22, f"{name} is {value:g}; give a number above 0, or 0 for never.")
        return value

    return Limits(bound("warn_stalled"), bound("warn_unfinished"))
