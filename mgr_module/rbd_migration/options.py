"""The module's options: declared for the manager, read as Settings, and written by commands."""

import json
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional, TypeVar

from rbdmigrate.control.pace.timetable import Timetable, format_rate, parse_rate, parse_timetable
from rbdmigrate.control.pace.weekly import zone as known_zone
from rbdmigrate.control.pace.window import Window, parse_window
from rbdmigrate.engine import Settings
from rbdmigrate.model.bounds import narrowed
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.verification import Verify

from .gate_options import GATE_OPTIONS, thresholds
from .health_options import HEALTH_OPTIONS, limits
from .hook_options import HOOK_OPTIONS, hook_policy
from .http_options import HTTP_OPTIONS
from .import_options import IMPORT_OPTIONS, import_policy

_T = TypeVar("_T")

OPTIONS: List[Dict[str, Any]] = [
    {
        "name": "max_copies",
        "type": "uint",
        "default": Settings.max_copies,
        "desc": "maximum number of images that are copied at once",
        "runtime": True,
    },
    {
        "name": "per_source_pool",
        "type": "uint",
        "default": Settings.per_source_pool,
        "desc": "maximum number of copies at once that read from one pool; 0 is no limit",
        "runtime": True,
    },
    {
        "name": "per_target_pool",
        "type": "uint",
        "default": Settings.per_target_pool,
        "desc": "maximum number of copies at once that write to one pool; 0 is no limit",
        "runtime": True,
    },
    {
        "name": "max_steps",
        "type": "uint",
        "default": Settings.max_steps,
        "desc": "maximum number of prepares, commits and aborts that run at once",
        "runtime": True,
    },
    {
        "name": "max_verifies",
        "type": "uint",
        "default": Settings.max_verifies,
        "desc": "maximum number of images that are verified at once",
        "runtime": True,
    },
    {
        "name": "verify_fraction",
        "type": "float",
        "default": Settings.verify_fraction,
        "min": 0.0,
        "max": 1.0,
        "desc": "share of the data that a sample compares, 0 to 1",
        "runtime": True,
    },
    {
        "name": "verify_default",
        "type": "str",
        "default": Settings.verify_default.value,
        "enum_allowed": [mode.value for mode in Verify],
        "desc": "default verification before a commit; auto depends on the image",
        "runtime": True,
    },
    {
        "name": "verify_full_below",
        "type": "size",
        "default": Settings.verify_full_below,
        "desc": "bytes of data below which auto compares an image with snapshots in full",
        "runtime": True,
    },
    {
        "name": "verify_trust_object_maps",
        "type": "bool",
        "default": Settings.verify_trust_maps,
        "desc": "whether a verification skips objects that are missing in the source's object maps",
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
        "desc": "the time zone of the throttle's timetable and of windows, such as Europe/Berlin",
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
        "name": "window",
        "type": "str",
        "default": "",
        "desc": "when copies may run, such as 'Mon-Fri 20:00-06:00, Sat-Sun'; empty is always",
        "runtime": True,
    },
    {
        "name": "guard",
        "type": "float",
        "default": Settings.guard,
        "desc": "maximum client latency during copies, as a multiple of that without; 0 is off",
        "runtime": True,
    },
    {
        "name": "command_wait",
        "type": "float",
        "default": Settings.command_wait,
        "desc": "seconds that the commands prepare, commit and abort wait for their result",
        "runtime": True,
    },
    {
        "name": "agent_interval",
        "type": "float",
        "default": Settings.agent_interval,
        "min": 1.0,
        "max": 60.0,
        "desc": "seconds between two reports of an agent that has nothing to do",
        "runtime": True,
    },
    {
        "name": "progress_events",
        "type": "uint",
        "default": 20,
        "desc": "maximum number of migrations with an own progress event; others share one",
        "runtime": True,
    },
    *GATE_OPTIONS,
    *HEALTH_OPTIONS,
    *IMPORT_OPTIONS,
    *HOOK_OPTIONS,
    *HTTP_OPTIONS,
]


class Options:
    """Reads and writes the options through the manager module ``module``. Thread-safe."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lock = threading.Lock()  # commands and HTTP requests come from several threads
        self.problem = ""  # error message about an option with an invalid value
        self.settings = Settings()

    def read(self) -> None:
        """Read the options. An invalid one leaves the setting that it belongs to as it was."""
        self.problem = ""
        before = self.settings
        zone = str(self._get("throttle_timezone") or "UTC")
        self.settings = Settings(
            max_copies=int(self._get("max_copies")),
            per_source_pool=int(self._get("per_source_pool")),
            per_target_pool=int(self._get("per_target_pool")),
            max_steps=int(self._get("max_steps")),
            max_verifies=int(self._get("max_verifies")),
            verify_default=Verify(str(self._get("verify_default"))),
            verify_full_below=int(self._get("verify_full_below")),
            verify_trust_maps=bool(self._get("verify_trust_object_maps")),
            verify_fraction=min(1.0, max(0.0, float(self._get("verify_fraction")))),
            timetable=self._kept(lambda: _timetable(self._get("throttle"), zone), before.timetable),
            pool_rates=self._kept(self.pool_rates, before.pool_rates),
            window=self._kept(lambda: _kept_window(self._get("window"), zone), before.window),
            timezone=zone,
            thresholds=self._kept(lambda: thresholds(self._get), before.thresholds),
            guard=self._kept(lambda: guard_factor(float(self._get("guard"))), before.guard),
            command_wait=float(self._get("command_wait")),
            agent_interval=min(60.0, max(1.0, float(self._get("agent_interval")))),
            import_policy=self._kept(lambda: import_policy(self._get), before.import_policy),
            hook_policy=self._kept(lambda: hook_policy(self._get), before.hook_policy),
            hook_close_wait=float(self._get("hook_close_wait")),
            max_cutovers=int(self._get("max_cutovers")),
            per_source_host=int(self._get("per_source_host")),
            source_timeout=float(self._get("source_timeout")),
            worker_memory=int(self._get("worker_memory")),
            warnings=self._kept(lambda: limits(self._get), before.warnings),
        )

    def _kept(self, read: Callable[[], _T], before: _T) -> _T:
        """Return the result of ``read``, or ``before`` if the option is invalid."""
        try:
            return read()
        except MigrationError as error:
            self.problem = f"An option is left as it was before: {error}"
            return before

    def progress_events(self) -> int:
        """Return the maximum number of migrations with a progress event of their own."""
        return int(self._get("progress_events"))

    def dashboard_metrics(self) -> bool:
        """Return whether the dashboard has the metrics."""
        return bool(self._get("dashboard_metrics"))

    def limits(self) -> Dict[str, int]:
        """Return the limits on parallel operations."""
        names = (
            "max_copies",
            "per_source_pool",
            "per_target_pool",
            "per_source_host",
            "max_steps",
            "max_verifies",
            "max_cutovers",
        )
        return {name: int(self._get(name)) for name in names}

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """Change the given limits."""
        for name, value in limits.items():
            self._module.set_module_option(name, str(value))
        self.read()

    def throttle(self) -> Dict[str, str]:
        """Return the cluster's throttle and its time zone, as they were set."""
        return {
            "timetable": str(self._get("throttle")),
            "timezone": str(self._get("throttle_timezone")),
        }

    def set_throttle(self, text: str, timezone: Optional[str]) -> None:
        """Set the cluster's throttle: a rate or a timetable. Raises MigrationError."""
        zone = self._zone(timezone)
        timetable = _timetable(text, zone)
        self._module.set_module_option("throttle_timezone", zone)
        self._module.set_module_option("throttle", "off" if timetable is None else str(timetable))
        self.read()

    def window(self) -> Dict[str, str]:
        """Return the window of all copies and its time zone, as they were set; empty is always."""
        return {
            "window": str(self._get("window") or ""),
            "timezone": str(self._get("throttle_timezone")),
        }

    def set_window(self, text: str, timezone: Optional[str]) -> None:
        """Set the window of all copies; empty is always. Raises MigrationError."""
        zone = self._zone(timezone)
        window = _window(text, zone)
        self._module.set_module_option("throttle_timezone", zone)
        self._module.set_module_option("window", "" if window is None else str(window))
        self.read()

    def set_guard(self, factor: float) -> None:
        """Set the latency guard's factor; 0 is off. Raises MigrationError."""
        self._module.set_module_option("guard", str(guard_factor(factor)))
        self.read()

    def pool_rates(self) -> Dict[str, Optional[int]]:
        """Return the throttles of pools, in bytes per second. Raises MigrationError."""
        try:
            found = json.loads(self._get("pool_throttles") or "{}")
            texts = {str(pool): str(rate) for pool, rate in found.items()}
        except (ValueError, AttributeError) as error:
            raise MigrationError(
                22, 'pool_throttles is not a JSON object such as {"nvme": "200M"}.'
            ) from error
        return {pool: parse_rate(rate, f"the throttle of {pool}") for pool, rate in texts.items()}

    def set_pool_rate(self, pool: str, rate: Optional[int]) -> None:
        """Set the throttle of a pool in bytes per second; None removes it."""
        with self._lock:
            rates = {**self.pool_rates(), pool: rate}
            texts = {name: format_rate(value) for name, value in rates.items() if value is not None}
            self._module.set_module_option("pool_throttles", json.dumps(texts))
        self.read()

    def _zone(self, given: Optional[str]) -> str:
        """Return the time zone to use from now on. Raises MigrationError."""
        name = given or str(self._get("throttle_timezone") or "UTC")
        known_zone(name)
        return name

    def _get(self, name: str) -> Any:
        return self._module.get_module_option(name)


def guard_factor(factor: float) -> float:
    """Return ``factor`` if it is valid; 0 is off. Raises MigrationError(EINVAL)."""
    if factor != 0 and not 1.05 <= factor <= 100:
        raise MigrationError(
            22,
            f"The guard's factor is {factor:g}; give one from 1.05 (clients' operations may take "
            "5 % longer than without copies) to 100, or off.",
        )
    return factor


def _kept_window(text: Any, zone: str) -> Optional[Window]:
    """Parse the option's window, which an earlier version may have set with too many spans.

    It is cut to the limit: without a window copies would run at any time.
    """
    return _window(narrowed(str(text or "").replace(";", ",")), zone)


def _window(text: Any, zone: str) -> Optional[Window]:
    return parse_window(str(text), zone, "The window") if text else None


def _timetable(text: Any, zone: Any) -> Optional[Timetable]:
    if str(text or "off") == "off":
        return None
    return parse_timetable(str(text), "The throttle", str(zone or "UTC"))
