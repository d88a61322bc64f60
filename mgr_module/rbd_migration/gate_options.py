"""The options of the health gates: two thresholds per gate, made from the engine's own table."""

from dataclasses import fields
from typing import Any, Callable, Dict, List, Optional

from rbdmigrate.control.pace.gate_metrics import Threshold, Thresholds
from rbdmigrate.control.pace.health_errors import parse_error_codes
from rbdmigrate.model.errors import MigrationError

_DESCRIBED = {
    "recovery": "the share of objects that are misplaced or degraded",
    "backfill": "the share of placement groups that are recovering or backfilling",
    "health_error": "a health error that concerns storage (1)",
    "slow_ops": "the number of slow operations",
    "mons_out": "the number of monitors out of quorum",
    "nearfull_osds": "the number of OSDs near full",
    "full_osds": "the number of full OSDs",
    "nearfull_pool": "a pool near full (1)",
    "full_pool": "a full pool (1)",
    "space": "the share of a target pool's free space that copies still have to write",
}
_DOES = {"slow": "copies slow down", "wait": "copies wait"}
_DEFAULTS = Thresholds()


def _option(gate: str, level: str) -> Dict[str, Any]:
    bounds: Threshold = getattr(_DEFAULTS, gate)
    return {
        "name": f"gate_{gate}_{level}",
        "type": "float",
        "default": float(getattr(bounds, level) or 0),
        "desc": f"{_DOES[level]} from this value on: {_DESCRIBED[gate]}; 0 is never",
        "runtime": True,
    }


GATES = [f.name for f in fields(Thresholds) if isinstance(getattr(_DEFAULTS, f.name), Threshold)]
GATE_OPTIONS: List[Dict[str, Any]] = [
    *(_option(gate, level) for gate in GATES for level in _DOES),
    {
        "name": "gate_health_errors",
        "type": "str",
        "default": ",".join(_DEFAULTS.errors),
        "desc": "codes of the health errors for which copies wait, with * and ?; ! excludes one",
        "runtime": True,
    },
    {
        "name": "gate_slow_factor",
        "type": "float",
        "default": _DEFAULTS.slow_factor,
        "desc": "factor on a copy's rate while a gate slows it down, above 0 and below 1",
        "runtime": True,
    },
    {
        "name": "gate_settle",
        "type": "float",
        "default": _DEFAULTS.settle,
        "desc": "seconds for which a value must be better before its gate opens",
        "runtime": True,
    },
]


def thresholds(get: Callable[[str], Any]) -> Thresholds:
    """Return the thresholds that are set. Raises MigrationError(EINVAL), naming the option."""

    def bound(name: str) -> Optional[float]:
        value = float(get(name))
        if value < 0:
            raise MigrationError(22, f"{name} is {value:g}; give a number above 0, or 0 for never.")
        return value or None

    def bounds(gate: str) -> Threshold:
        return Threshold(bound(f"gate_{gate}_slow"), bound(f"gate_{gate}_wait"))

    factor, settle = float(get("gate_slow_factor")), float(get("gate_settle"))
    if not 0 < factor < 1:
        raise MigrationError(22, f"gate_slow_factor is {factor:g}; give a number between 0 and 1.")
    if settle < 0:
        raise MigrationError(22, f"gate_settle is {settle:g}; give seconds, 0 or more.")
    return Thresholds(
        **{gate: bounds(gate) for gate in GATES},
        errors=parse_error_codes(str(get("gate_health_errors") or ""), "gate_health_errors"),
        slow_factor=factor,
        settle=settle,
    )
