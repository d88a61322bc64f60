"""The test double's pools and images, for forms in which one of them is named."""

from typing import Any

Args = dict[str, Any]
POOLS: dict[str, dict[str, list[str]]] = {
    "hdd": {"": [f"vm-{n:05d}" for n in range(1, 31)], "tenant-a": ["database", "web"]},
    "nvme": {"": ["web"], "tenant-a": ["database"]},
    "ec-data": {"": []},
}


def pools() -> "list[Args]":
    """Return the answer of ``/pool``."""
    return [
        {"pool": pool, "namespaces": list(namespaces), "answers": True}
        for pool, namespaces in POOLS.items()
    ]


def images(args: Args) -> Args:
    """Return the answer of ``/image``; empty for a pool that there is not."""
    there = POOLS.get(args["pool"], {}).get(args.get("namespace", ""), [])
    found = [name for name in there if args.get("search", "") in name]
    return {"images": found[: args["limit"]], "more": len(found) > args["limit"]}
