"""A recorded store (see ``qa/upgrade``) brought into a running cluster, with images to match."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, digests, image_id, make_image, make_slow_image, place
from rbdmigrate.cluster import headers
from tests.cluster.importing import Place
from tests.cluster.transplanted_import import adapted_import, import_digests, prepare_import

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

Record = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """A store as a version wrote it; ``objects`` by name: key and value of their omaps.

    ``states`` by key, of all migrations.
    """

    version: str
    objects: "dict[str, dict[str, str]]"
    states: "dict[str, str]"

    @classmethod
    def load(cls, name: str) -> "Recorded":
        plain = json.loads((STORES / f"{name}.json").read_text(encoding="utf-8"))
        return cls(plain["version"], plain["objects"], plain["states"])

    def under_way(self) -> "Iterator[Record]":
        """The records of the migrations that have not ended."""
        for key, value in self.objects["rbd_migration"].items():
            if key in self.states:
                yield json.loads(value)


class Transplant:
    """The store in two pools of another cluster. The engine has to load it again afterwards.

    Sources of imports are made in ``sources``, from where imports have to be allowed.
    """

    def __init__(
        self, cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]", sources: Place
    ) -> None:
        self._cluster, self._client, self._sources = cluster, client, sources
        self._source_pool, self._target_pool = pools
        self._ids: dict[str, tuple[str, str]] = {}  # of source and target, by name
        self._actors: dict[str, dict[str, Any]] = {}  # who copied, by name
        self._versions: dict[
            str, Optional[int]
        ] = {}  # of the target's header, after our last act, by name
        self._imports: dict[str, dict[str, Any]] = {}  # what of their records is other, by name
        self.before: dict[str, dict[str, str]] = {}  # the images' digests

    def source(self, name: str) -> str:
        return f"{self._source_pool}/{name}"

    def target(self, name: str) -> str:
        return f"{self._target_pool}/{name}"

    def plant(self, recorded: Recorded) -> None:
        """Make the images, as stock ``rbd migration`` brings them there, then write the store."""
        for record in recorded.under_way():
            self._make(record)
        for oid, entries in recorded.objects.items():
            values = {key: self._adapted(key, value) for key, value in entries.items()}
            with place(self._client, self.target("-")) as ioctx, rados.WriteOpCtx() as op:
                ioctx.set_omap(op, tuple(values), tuple(v.encode() for v in values.values()))
                ioctx.operate_write_op(op, oid)

    def _make(self, record: Record) -> None:
        name = record["target"]["image"]
        if record.get("imported"):
            self._imports[name] = adapted_import(record, self._cluster, self._sources)
            target = self.target(name)
            prepare_import(self._cluster, self._imports[name], target, record["layout"])
            self.before[name] = import_digests(self._cluster, target)
            ident = ""
        else:
            ident = self._prepare_move(record, name)
        if record["state"] == "executed":
            self._cluster.rbd("migration", "execute", self.target(name))
        self._ids[name] = ident, image_id(self._client, self.target(name))
        with place(self._client, self.target(name)) as ioctx:
            self._versions[name] = headers.version(ioctx, self._ids[name][1])
        if record["state"] == "executing":
            self._cut_off(name, paused=record["paused"])

    def _prepare_move(self, record: Record, name: str) -> str:
        """Returns the id of the source."""
        source = self.source(name)
        if record["state"] == "executing":
            make_slow_image(self._client, source, objects=512, snapshots=("one",))
        else:
            make_image(self._client, source, 4 * MIB, 256 * KIB)
        self.before[name] = digests(self._client, source)
        ident = image_id(self._client, source)
        size = record["layout"]["object_size"]
        layout = ["--object-size", str(size)] if size else []
        self._cluster.rbd("migration", "prepare", source, self.target(name), *layout)
        return ident

    def _cut_off(self, name: str, paused: bool) -> None:
        """A copy whose process was killed in its midst, as a worker that its manager lost."""
        pool = self._target_pool
        command = [sys.executable, "-c", _KILLED_COPY, str(self._cluster.conf), pool, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        address, client = done.stdout.split()
        self._actors[name] = {"addresses": [address], "clients": [int(client)]}
        if paused:  # the manager that paused it fenced it too
            self._cluster.mon_command(
                "osd blocklist", blocklistop="add", addr=address, expire=_EXPIRE
            )

    def _adapted(self, key: str, value: str) -> str:
        plain = json.loads(value)
        if key == "owner":  # a cluster's counter does not go back as it does between two clusters
            return json.dumps({**plain, "generation": 1})
        name = plain["target"]["image"]
        ends = [("target", self._target_pool)]
        ends += [("source", self._source_pool)] if plain["source"]["pool"] else []
        for end, pool in ends:
            plain[end]["pool"] = pool
            plain[end]["pool_id"] = self._client.pool_lookup(pool)
        if name in self._ids:
            plain["source"]["image_id"], plain["target"]["image_id"] = self._ids[name]
            plain["target_version"] = self._versions[name]
        if name in self._imports:
            plain["imported"] = self._imports[name]
        if plain.get("step"):
            plain["step"]["actor"].update(self._actors[name])
        return json.dumps(plain)
