"""A store as a version left it: a record in each state in which a migration may rest or be met.

Each image is named after the state of its migration. What is recorded is what RADOS holds, byte by
byte, but for the name of the machine; the transplant in the tests changes names and ids.
"""

import argparse
import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import rados

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.releases.catalogue import here
from qa.workload.images import KIB, MIB, make_image, make_slow_image, omap, place

OBJECTS = ("rbd_migration", "rbd_migration_history")
SOURCES, TARGETS = "old", "new"  # the pools
_TIMEOUT = 60.0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Record TREE into FILE."""
    parser = argparse.ArgumentParser(prog="./run qa upgrade", description=__doc__)
    parser.add_argument("tree", type=Path, help="source tree of the version")
    parser.add_argument("file", type=Path, help="the fixture to write")
    args = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory(prefix="rbd-upgrade-") as folder,
        Cluster(Path(folder) / "cluster") as cluster,
    ):
        cluster.up(ClusterOptions(module=False, conf=FAST_FAILOVER))
        found = _record(cluster, args.tree.resolve())
    args.file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{args.file}: {', '.join(sorted(found['states'].values()))}")
    return 0


def _record(cluster: Cluster, tree: Path) -> "dict[str, Any]":
    version = _put(tree, cluster.layout.modules_of("a"))
    cluster.mgr_restart()
    cluster.ceph("mgr", "module", "enable", "rbd_migration", "--force")
    cluster.wait_mgrs()
    for pool in (SOURCES, TARGETS):
        cluster.create_pool(pool)
    with cluster.connect() as client:
        _migrate(cluster, client)
        with place(client, f"{TARGETS}/-") as ioctx:
            objects = {
                name: {key: _anonymous(value) for key, value in omap(ioctx, name).items()}
                for name in OBJECTS
            }
    states = {
        key: json.loads(value)["state"]
        for entries in objects.values()
        for key, value in entries.items()
        if key.startswith("migration.")
    }
    return {"version": version, "ceph": here(), "objects": objects, "states": states}


def _anonymous(value: bytes) -> str:
    return value.decode().replace(f'"host":"{socket.gethostname()}"', '"host":"host"')


def _put(tree: Path, modules: Path) -> str:
    """Install by copying, as the oldest versions say; returns the version."""
    shutil.copytree(tree / "mgr_module" / "rbd_migration", modules / "rbd_migration")
    shutil.copytree(tree / "src" / "rbdmigrate", modules / "rbdmigrate")
    text = (modules / "rbdmigrate" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "(.*)"', text)
    assert found, "this tree has no version"
    return found.group(1)


def _migrate(cluster: Cluster, client: rados.Rados) -> None:
    """All states, the one that does not rest last."""
    for name in ("prepared", "executed", "committed", "aborted"):
        make_image(client, f"{SOURCES}/{name}", 4 * MIB, 256 * KIB)
    for name in ("paused", "executing"):
        make_slow_image(client, f"{SOURCES}/{name}", snapshots=("one",))
    _do(cluster, "prepare", "prepared", "--object-size", "1M")
    _do(cluster, "run", "executed", "--goal", "executed")
    _do(cluster, "run", "committed")
    _do(cluster, "prepare", "aborted")
    cluster.ceph("rbd", "migration", "abort", f"{TARGETS}/aborted")
    for name in ("executed", "committed", "aborted"):
        _wait(cluster, name, name)
    _do(cluster, "run", "paused")
    _wait(cluster, "paused", "executing")
    cluster.ceph("rbd", "migration", "pause", f"{TARGETS}/paused")
    time.sleep(3)
    _do(cluster, "run", "executing")
    _wait(cluster, "executing", "executing")


def _do(cluster: Cluster, command: str, name: str, *options: str) -> None:
    images = f"{SOURCES}/{name}", f"{TARGETS}/{name}"
    cluster.ceph("rbd", "migration", command, *images, *options)


def _wait(cluster: Cluster, name: str, state: str) -> None:
    def there() -> bool:
        report = cluster.ceph_json("rbd", "migration", "status", f"{TARGETS}/{name}")
        return bool(report["state"] == state)

    cluster.wait_for(there, _TIMEOUT, f"{name} to be {state}")
