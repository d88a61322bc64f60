"""Health of the cluster and latency of its clients, from what the manager has in memory.

Everything is read from the manager's own maps. No monitor or OSD is asked, except for one perf
query while the latency guard is on, which OSDs answer with their ordinary reports.
"""

import json
from typing import Any, Dict, List, Optional

from rbdmigrate.control.pace.health_errors import pools_of
from rbdmigrate.model.client_ops import ClientOps
from rbdmigrate.model.health import ClusterHealth, HealthError

_RECOVERING = ("recovering", "backfilling")  # PG states; those with _wait move no data
_MAX_CLIENTS = 512  # clients in a report of the OSDs, the busiest ones
_ANY = "^(.*)$"


class MgrClusterView:
    """The ``rbdmigrate.engine.cluster_view.ClusterView`` of the manager module ``module``."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._query: Optional[int] = None

    def health(self) -> ClusterHealth:
        """Return the current health. A manager that has no statistics yet reports no problem."""
        health = _json(self._module.get("health"))
        pgs = self._module.get("pg_status")
        osd_map = self._module.get("osd_map")
        df = self._module.get("df")
        mons = _json(self._module.get("mon_status"))
        checks = health.get("checks", {})
        total = sum(state["count"] for state in pgs.get("pgs_by_state", ()))
        recovering = sum(
            state["count"]
            for state in pgs.get("pgs_by_state", ())
            if any(word in _RECOVERING for word in state["state_name"].split("+"))
        )
        pools = {int(pool["pool"]): pool for pool in osd_map["pools"]}
        return ClusterHealth(
            errors=_errors(checks),
            misplaced=float(pgs.get("misplaced_ratio", 0.0)),
            degraded=float(pgs.get("degraded_ratio", 0.0)),
            recovering_pgs=recovering / total if total else 0.0,
            slow_ops=_count(checks, "SLOW_OPS"),
            nearfull_osds=_osds(osd_map, "nearfull", "backfillfull"),
            full_osds=_osds(osd_map, "full"),
            nearfull_pools=_flagged(pools, "nearfull", "backfillfull"),
            full_pools=_flagged(pools, "full", "full_quota"),
            free=_free(df),
            pool_names={number: str(pool["pool_name"]) for number, pool in pools.items()},
            mons=max(1, len(mons.get("monmap", {}).get("mons", ()))),
            mons_in_quorum=len(mons.get("quorum", (0,))),
        )

    def client_ops(self) -> List[ClientOps]:
        """Return the operations of clients since the last call, by pool and client."""
        if self._query is None:
            self._query = self._module.add_osd_perf_query(
                {
                    "key_descriptor": [
                        {"type": "pool_id", "regex": _ANY},
                        {"type": "client_id", "regex": _ANY},
                    ],
                    "performance_counter_descriptors": ["write_latency", "read_latency"],
                    "limit": {"order_by": "write_latency", "max_count": _MAX_CLIENTS},
                }
            )
        if self._query is None:
            return []
        found = self._module.get_osd_perf_counters(self._query) or {}
        return [_client_ops(counter) for counter in found.get("counters", ())]

    def report_period(self) -> float:
        """Return the seconds between two reports of the OSDs to the manager."""
        return max(1.0, float(self._module.get_ceph_option("mgr_stats_period")))

    def forget_clients(self) -> None:
        """Remove the perf query from the OSDs."""
        if self._query is not None:
            self._module.remove_osd_perf_query(self._query)
            self._query = None


def _client_ops(counter: Dict[str, Any]) -> ClientOps:
    """Convert a counter, whose latencies are total nanoseconds and the number of operations."""
    (pool,), (client,) = counter["k"]
    return ClientOps(
        pool=int(pool),
        client=int(str(client).rsplit(".", maxsplit=1)[-1]),
        ops=sum(int(ops) for _, ops in counter["c"]),
        seconds=sum(int(nanoseconds) for nanoseconds, _ in counter["c"]) / 1e9,
    )


def _json(answer: Dict[str, Any]) -> Dict[str, Any]:
    return dict(json.loads(answer.get("json") or "{}"))


def _errors(checks: Dict[str, Any]) -> Any:
    return tuple(
        HealthError(code, pools_of([str(d.get("message", "")) for d in check.get("detail", ())]))
        for code, check in sorted(checks.items())
        if check.get("severity") == "HEALTH_ERR" and not check.get("muted")
    )


def _count(checks: Dict[str, Any], name: str) -> int:
    return int(checks.get(name, {}).get("summary", {}).get("count", 0))


def _osds(osd_map: Dict[str, Any], *states: str) -> Any:
    return tuple(
        int(osd["osd"]) for osd in osd_map["osds"] if any(s in osd["state"] for s in states)
    )


def _flagged(pools: Dict[int, Any], *flags: str) -> Any:
    """Return the pools that have any of these flags."""
    return frozenset(
        number
        for number, pool in pools.items()
        if any(flag in str(pool["flags_names"]).split(",") for flag in flags)
    )


def _free(df: Dict[str, Any]) -> Dict[int, int]:
    """Return the bytes that each pool can still take; empty until the OSDs have reported."""
    if not df["stats"]["total_bytes"]:
        return {}
    return {int(pool["id"]): int(pool["stats"]["max_avail"]) for pool in df["pools"]}
