"""The module's options: declared for the manager, read as Settings, and written by commands."""

import json
from typing import Any, Dict, List, Mapping, Optional

from rbdmigrate.control.timetable import Timetable, format_rate, parse_rate, parse_timetable
from rbdmigrate.engine import Settings
from rbdmigrate.model.errors import MigrationError

OPTIONS: List[Dict[str, Any]] = [
    {
        "name": "max_copies",
        "type": "uint",
        "default": Settings.max_copies,
        "desc": "how many images are copied at once",
        "runtime": True,
    },
    {
        "name": "per_source_pool",
        "type": "uint",
        "default": Settings.per_source_pool,
        "desc": "how many copies at once read from one pool; 0 is no limit",
        "runtime": True,
    },
    {
        "name": "per_target_pool",
        "type": "uint",
        "default": Settings.per_target_pool,
        "desc": "how many copies at once write to one pool; 0 is no limit",
        "runtime": True,
    },
    {
        "name": "max_steps",
        "type": "uint",
        "default": Settings.max_steps,
        "desc": "how many prepares, commits and aborts run at once",
        "runtime": True,
    },
    {
        "name": "throttle",
        "type": "str",
        "default": "off",
        "desc": "bytes per second of all copies together, or a timetable of rates over the week",
        "runtime": True,
    },
    {
        "name": "throttle_timezone",
        "type": "str",
        "default": "UTC",
        "desc": "the time zone of the throttle's timetable, such as Europe/Berlin",
        "runtime": True,
    },
    {
        "name": "pool_throttles",
        "type": "str",
        "default": "{}",
        "desc": "bytes per second of all copies from or to a pool, as a JSON object by pool name",
        "runtime": True,
    },
    {
        "name": "command_wait",
        "type": "float",
        "default": Settings.command_wait,
        "desc": "seconds that prepare, commit and abort wait for their outcome",
        "runtime": True,
    },
]


class Options:
    """Reads and writes the options through the manager module ``module``."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.problem = ""  # what is wrong with an option that was set by hand
        self.settings = Settings()

    def read(self) -> None:
        """Take the options over; a value that makes no sense leaves the throttle as it was."""
        self.problem = ""
        timetable, pools = self.settings.timetable, self.settings.pool_rates
        try:
            timetable = _timetable(self._get("throttle"), self._get("throttle_timezone"))
            pools = self.pool_rates()
        except MigrationError as error:
            self.problem = f"An option is left as it was before: {error}"
        self.settings = Settings(
            max_copies=int(self._get("max_copies")),
            per_source_pool=int(self._get("per_source_pool")),
            per_target_pool=int(self._get("per_target_pool")),
            max_steps=int(self._get("max_steps")),
            timetable=timetable,
            pool_rates=pools,
            command_wait=float(self._get("command_wait")),
        )

    def limits(self) -> Dict[str, int]:
        """The limits on how much happens at once."""
        names = ("max_copies", "per_source_pool", "per_target_pool", "max_steps")
        return {name: int(self._get(name)) for name in names}

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """Change some of the limits."""
        for name, value in limits.items():
            self._module.set_module_option(name, str(value))
        self.read()

    def throttle(self) -> Dict[str, str]:
        """The cluster's throttle and its time zone, as they were set."""
        return {
            "timetable": str(self._get("throttle")),
            "timezone": str(self._get("throttle_timezone")),
        }

    def set_throttle(self, text: str, timezone: Optional[str]) -> None:
        """Set the cluster's throttle: a rate or a timetable. Raises MigrationError."""
        zone = timezone or str(self._get("throttle_timezone"))
        timetable = _timetable(text, zone)
        self._module.set_module_option("throttle_timezone", zone)
        self._module.set_module_option("throttle", "off" if timetable is None else str(timetable))
        self.read()

    def pool_rates(self) -> Dict[str, Optional[int]]:
        """The throttles of pools, in bytes per second. Raises MigrationError."""
        try:
            found = json.loads(self._get("pool_throttles") or "{}")
            texts = {str(pool): str(rate) for pool, rate in found.items()}
        except (ValueError, AttributeError) as error:
            raise MigrationError(
                22, 'pool_throttles is not a JSON object such as {"nvme": "200M"}.'
            ) from error
        return {pool: parse_rate(rate, f"the throttle of {pool}") for pool, rate in texts.items()}

    def set_pool_rate(self, pool: str, rate: Optional[int]) -> None:
        """Set the throttle of a pool; None takes it away."""
        rates = {**self.pool_rates(), pool: rate}
        texts = {name: format_rate(value) for name, value in rates.items() if value is not None}
        self._module.set_module_option("pool_throttles", json.dumps(texts))
        self.read()

    def _get(self, name: str) -> Any:
        return self._module.get_module_option(name)


def _timetable(text: Any, zone: Any) -> Optional[Timetable]:
    if str(text or "off") == "off":
        return None
    return parse_timetable(str(text), "The throttle", str(zone or "UTC"))
