"""A recorded store (see ``qa/upgrade``) brought into a running cluster, with images to match."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, digests, image_id, make_image, make_slow_image, place

STORES = Path(__file__).parent / "stores"
_KILLED_COPY = """
import os, signal, sys, rados, rbd
conf, pool, image = sys.argv[1:]
client = rados.Rados(conffile=conf, name="client.admin")
client.connect()
print(client.get_addrs(), client.get_instance_id(), flush=True)
def progress(done, total):
    if done > total // 3:
        os.kill(os.getpid(), signal.SIGKILL)
rbd.RBD().migration_execute(client.open_ioctx(pool), image, on_progress=progress)
"""
_EXPIRE = 60.0  # seconds of a blocklist entry, as the engine's own
_UNDER_WAY = ("prepared", "executing", "paused", "executed")  # by the name of the image


@dataclass(frozen=True)
class Recorded:
    """A store as a version wrote it; ``objects`` by name: key and value of their omaps."""

    version: str
    objects: "dict[str, dict[str, str]]"

    @classmethod
    def load(cls, name: str) -> "Recorded":
        plain = json.loads((STORES / f"{name}.json").read_text(encoding="utf-8"))
        return cls(plain["version"], plain["objects"])


class Transplant:
    """The store in two pools of another cluster. The engine has to load it anew afterwards."""

    def __init__(self, cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]") -> None:
        self._cluster, self._client = cluster, client
        self._source_pool, self._target_pool = pools
        self._ids: dict[str, tuple[str, str]] = {}  # of source and target, by name
        self._actors: dict[str, dict[str, Any]] = {}  # who copied, by name
        self.before: dict[str, dict[str, str]] = {}  # the images' digests

    def source(self, name: str) -> str:
        return f"{self._source_pool}/{name}"

    def target(self, name: str) -> str:
        return f"{self._target_pool}/{name}"

    def plant(self, recorded: Recorded) -> None:
        """Make the images, as stock ``rbd migration`` brings them there, then write the store."""
        for name in _UNDER_WAY:
            self._make(name)
        for oid, entries in recorded.objects.items():
            values = {key: self._adapted(key, value) for key, value in entries.items()}
            with place(self._client, self.target("-")) as ioctx, rados.WriteOpCtx() as op:
                ioctx.set_omap(op, tuple(values), tuple(v.encode() for v in values.values()))
                ioctx.operate_write_op(op, oid)

    def _make(self, name: str) -> None:
        source, target = self.source(name), self.target(name)
        if name in ("paused", "executing"):
            make_slow_image(self._client, source, objects=512, snapshots=("one",))
        else:
            make_image(self._client, source, 4 * MIB, 256 * KIB)
        self.before[name] = digests(self._client, source)
        ident = image_id(self._client, source)
        layout = ["--object-size", "1M"] if name == "prepared" else []
        self._cluster.rbd("migration", "prepare", source, target, *layout)
        if name == "executed":
            self._cluster.rbd("migration", "execute", target)
        elif name != "prepared":
            self._cut_off(name)
        self._ids[name] = ident, image_id(self._client, target)

    def _cut_off(self, name: str) -> None:
        """A copy whose process was killed in its midst, as a worker that its manager lost."""
        pool = self._target_pool
        command = [sys.executable, "-c", _KILLED_COPY, str(self._cluster.conf), pool, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        address, client = done.stdout.split()
        self._actors[name] = {"addresses": [address], "clients": [int(client)]}
        if name == "paused":  # the manager that paused it fenced it too
            self._cluster.mon_command(
                "osd blocklist", blocklistop="add", addr=address, expire=_EXPIRE
            )

    def _adapted(self, key: str, value: str) -> str:
        plain = json.loads(value)
        if key == "owner":  # a cluster's counter does not go back as it does between two clusters
            return json.dumps({**plain, "generation": 1})
        name = plain["source"]["image"]
        for end, pool in (("source", self._source_pool), ("target", self._target_pool)):
            plain[end]["pool"] = pool
            plain[end]["pool_id"] = self._client.pool_lookup(pool)
        if name in self._ids:
            plain["source"]["image_id"], plain["target"]["image_id"] = self._ids[name]
        if plain.get("step"):
            plain["step"]["actor"].update(self._actors[name])
        return json.dumps(plain)
