"""Pools as the monitors describe them: kind, flags, quotas, free space. And Ceph's release."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Optional

import rados

from ..model.errors import MigrationError
from ..model.pool import Pool
from ..model.untrimmed import RemovedSnapshots
from .client import mon_command

_ERASURE = 3  # pg_pool_t: TYPE_ERASURE
_OMAP = "supports_omap"  # an erasure-coded pool that holds omap; releases after 20 have it


def pools(client: rados.Rados, names: Iterable[str]) -> dict[str, Optional[Pool]]:
    """The pools called ``names``; None for those that do not exist. Raises MigrationError."""
    dump = json.loads(mon_command(client, prefix="osd dump", format="json"))
    usage = json.loads(mon_command(client, prefix="df", detail="detail", format="json"))
    known = {str(pool["pool_name"]): pool for pool in dump["pools"]}
    stats = {str(pool["name"]): pool["stats"] for pool in usage["pools"]}
    counted = bool(usage["stats"]["total_bytes"])  # OSDs have reported to the manager
    return {
        name: _pool(known[name], stats.get(name, {}), counted=counted) if name in known else None
        for name in names
    }


def _pool(dump: dict[str, Any], stats: dict[str, Any], *, counted: bool) -> Pool:
    flags = frozenset(str(dump["flags_names"]).split(","))
    return Pool(
        name=str(dump["pool_name"]),
        application="rbd" in dump["application_metadata"],
        erasure=int(dump["type"]) == _ERASURE,
        omap=int(dump["type"]) != _ERASURE or _OMAP in flags,
        overwrites="ec_overwrites" in flags,
        flags=flags,
        quota_bytes=int(dump["quota_max_bytes"]),
        quota_objects=int(dump["quota_max_objects"]),
        stored=int(stats.get("stored", 0)),
        objects=int(stats.get("objects", 0)),
        max_avail=int(stats["max_avail"]) if counted and "max_avail" in stats else None,
    )


def removed_snapshots(client: rados.Rados, pool_id: int) -> RemovedSnapshots:
    """The pool's removed snapshots that the OSDs have not trimmed yet. Raises MigrationError."""
    dump = json.loads(mon_command(client, prefix="osd dump", format="json"))
    ranges = tuple(
        (int(span["begin"]), int(span["length"]))
        for pool in dump["removed_snaps_queue"]
        if int(pool["pool"]) == pool_id
        for span in pool["snaps"]
    )
    return RemovedSnapshots(ranges, "nosnaptrim" in str(dump["flags"]).split(","))


def release(client: rados.Rados) -> tuple[int, int, int]:
    """The release of the monitors: major, minor, patch."""
    found = re.search(r"ceph version (\d+)\.(\d+)\.(\d+)", mon_command(client, prefix="version"))
    if found is None:
        return 0, 0, 0
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def client_keys(client: rados.Rados) -> dict[str, dict[str, str]]:
    """The capabilities of every client's key by kind of daemon; empty without permission to read
    them.
    """
    try:
        answer = json.loads(mon_command(client, prefix="auth ls", format="json"))
    except MigrationError:
        return {}
    return {
        str(entry["entity"]): {str(kind): str(text) for kind, text in entry["caps"].items()}
        for entry in answer["auth_dump"]
        if str(entry["entity"]).startswith("client.")
    }


def caps(client: rados.Rados, name: str) -> dict[str, str]:
    """The capabilities of the key of ``name`` by kind of daemon; empty without permission to read
    them.
    """
    try:
        answer = json.loads(mon_command(client, prefix="auth get", entity=name, format="json"))
    except MigrationError:
        return {}
    return {str(kind): str(text) for kind, text in answer[0]["caps"].items()}
