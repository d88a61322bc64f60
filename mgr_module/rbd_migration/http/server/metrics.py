"""Prometheus metrics of all migrations together, without names of images or pools."""

from typing import Any, Dict, List, Tuple

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Sample = Tuple[Dict[str, str], Any]


def exposition(summary: Dict[str, Any]) -> str:
    """Return the metrics as text; ``summary`` is the answer of the route ``summary``."""
    counts = [({"state": state}, number) for state, number in summary["counts"].items()]
    holds = [({"reason": reason}, number) for reason, number in summary["holds"].items()]
    gates = [
        ({"level": level}, sum(gate["level"] == level for gate in summary["gates"]))
        for level in ("slow", "wait")
    ]
    release = {"version": summary["version"], "ceph_release": summary["ceph_release"]}
    throttle = summary["cluster_rate"]
    families: List[Tuple[str, str, List[_Sample]]] = [
        ("info", "The module's version and Ceph's.", [(release, 1)]),
        ("migrations", "Migrations under way by state.", counts),
        ("held", "Migrations that wait, by reason.", holds),
        ("copying", "Migrations that are copied now.", [({}, summary["copying"])]),
        (
            "attention",
            "Migrations that need the administrator.",
            [({}, summary["attention_total"])],
        ),
        ("bytes", "Bytes to copy of all migrations under way.", [({}, summary["bytes_total"])]),
        (
            "copied_bytes",
            "Bytes copied of all migrations under way.",
            [({}, summary["bytes_copied"])],
        ),
        ("rate_bytes_per_second", "Throughput of all copies together.", [({}, summary["rate"])]),
        (
            "throttle_bytes_per_second",
            "The cluster's throttle now; absent without a limit.",
            [] if throttle is None else [({}, throttle)],
        ),
        ("gates", "Health gates that slow copies down or make them wait.", gates),
    ]
    return "".join(_family(*family) for family in families)


def _family(name: str, text: str, samples: List[_Sample]) -> str:
    full = f"rbd_migration_{name}"
    lines = [f"# HELP {full} {text}", f"# TYPE {full} gauge"]
    for labels, value in samples:
        shown = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        lines.append(f"{full}{{{shown}}} {value}" if shown else f"{full} {value}")
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
