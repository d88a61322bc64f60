"""The test double's answers about the pace: throttle, limits and window."""

from datetime import datetime, timezone
from typing import Any, Optional

from rbdmigrate.control.pace.timetable import Timetable, parse_rate, parse_timetable, rate_at
from rbdmigrate.control.pace.window import parse_window

from .scenes import MIB

Args = dict[str, Any]


class PaceDouble:
    """What is set for all copies. Each request has a method with the name of its route."""

    def __init__(self) -> None:
        self.timetable, self.zone, self.window = "off", "UTC", ""
        self.pools: dict[str, Optional[int]] = {}
        self.gates: list[dict[str, Any]] = []
        self.guard: Optional[float] = None
        self.limits = {"max_copies": 4, "per_source_pool": 0, "per_target_pool": 0,
                       "per_source_host": 0, "max_steps": 4, "max_verifies": 2}  # fmt: skip

    def throttle_get(self, args: Args) -> Any:
        """The answer of GET /throttle."""
        return {"timetable": self.timetable, "timezone": self.zone, "rate_now": self.rate_now(),
                "pools": self.pools, "gates": self.gates, "guard": self.shown_guard()}  # fmt: skip

    def throttle_set(self, args: Args) -> Any:
        """Set a rate, a timetable or the guard."""
        if "guard" in args:
            self.guard = None if args["guard"] == "off" else float(args["guard"])
        elif "pool" in args:
            self.pools[args["pool"]] = parse_rate(str(args["rate"]), "rate")
        else:
            text, zone = args["timetable"], args.get("timezone", self.zone)
            parsed = None if text == "off" else parse_timetable(text, "timetable", zone)
            self.timetable, self.zone = "off" if parsed is None else str(parsed), zone
        return self.throttle_get(args)

    def throttle_clear(self, args: Args) -> Any:
        """Remove the rate of a pool."""
        self.pools.pop(args["pool"])
        return self.throttle_get(args)

    def limit_get(self, args: Args) -> Any:
        """The limits."""
        return self.limits

    def limit_set(self, args: Args) -> Any:
        """Change limits."""
        self.limits.update(args)
        return self.limits

    def window_get(self, args: Args) -> Any:
        """The window."""
        return {"window": self.window, "timezone": self.zone}

    def window_set(self, args: Args) -> Any:
        """Set the window."""
        self.window = str(parse_window(args["window"], args.get("timezone", "UTC")))
        return self.window_get(args)

    def window_clear(self, args: Args) -> Any:
        """Remove the window."""
        self.window = ""
        return self.window_get(args)

    def rate_now(self) -> Optional[int]:
        """Return the rate of the timetable now."""
        if self.timetable == "off":
            return None
        parsed: Timetable = parse_timetable(self.timetable, "timetable", self.zone)
        return rate_at(parsed, datetime.now(timezone.utc))

    def shown_guard(self) -> Any:
        """Return the guard as it is shown."""
        if self.guard is None:
            return None
        return {"factor": self.guard, "rate": 45 * MIB, "latency_ms": 1.11, "baseline_ms": 0.94,
                "message": "The clients' latency is 1.11 ms, 1.18 times the 0.94 ms without copies "
                f"(allowed: {self.guard:g} times); copies may make 45 MiB/s together."}  # fmt: skip
