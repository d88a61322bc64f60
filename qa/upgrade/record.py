"""Records a store as a version leaves it: a record in each state that a migration can be in.

Each image is named after the state of its migration. The recording has the exact bytes of RADOS,
except for the names of the machine and of the sources' folder; the transplant in the tests changes
names and ids. It includes imports if the version has them.
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
from qa.upgrade import moves
from qa.upgrade.imports import Imports
from qa.upgrade.recorder import SOURCES, TARGETS, Recorder
from qa.workload.images import omap, place
from qa.workload.web_server import WebServer

OBJECTS = ("rbd_migration", "rbd_migration_history")
_OBSERVED = 3.0  # seconds in which the engine writes its observations of idle migrations


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Record TREE into FILE."""
    parser = argparse.ArgumentParser(prog="./run qa upgrade", description=__doc__)
    parser.add_argument("tree", type=Path, help="source tree of the version")
    parser.add_argument("file", type=Path, help="the fixture to write")
    args = parser.parse_args(argv)
    tree = args.tree.resolve()
    with (
        tempfile.TemporaryDirectory(prefix="rbd-upgrade-") as folder,
        Cluster(Path(folder) / "cluster") as cluster,
    ):
        imports = (tree / "src" / "rbdmigrate" / "sources").is_dir()
        cluster.up(ClusterOptions(module=False, rgw=imports, conf=FAST_FAILOVER))
        sources = Path(folder) / "sources"
        found = _record(cluster, tree, sources if imports else None)
    args.file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{args.file}: {', '.join(sorted(found['states'].values()))}")
    return 0


def _record(cluster: Cluster, tree: Path, sources: Optional[Path]) -> "dict[str, Any]":
    """Record the store. ``sources``: the folder of import sources; None: without imports."""
    version = _put(tree, cluster.layout.modules_of("a"))
    cluster.mgr_restart()
    cluster.ceph("mgr", "module", "enable", "rbd_migration", "--force")
    cluster.wait_mgrs()
    for pool in (SOURCES, TARGETS):
        cluster.create_pool(pool)
    with cluster.connect() as client:
        _migrate(cluster, client, sources)
        objects = _objects(client, sources)
    states = {
        key: json.loads(value)["state"]
        for entries in objects.values()
        for key, value in entries.items()
        if key.startswith("migration.")
    }
    return {"version": version, "ceph": here(), "objects": objects, "states": states}


def _put(tree: Path, modules: Path) -> str:
    """Install by copying, as the oldest versions document it; return the version."""
    shutil.copytree(tree / "mgr_module" / "rbd_migration", modules / "rbd_migration")
    shutil.copytree(tree / "src" / "rbdmigrate", modules / "rbdmigrate")
    text = (modules / "rbdmigrate" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "(.*)"', text)
    assert found, "this tree has no version"
    return found.group(1)


def _migrate(cluster: Cluster, client: rados.Rados, sources: Optional[Path]) -> None:
    """Start migrations in all states; the copies of the last ones run when this returns."""
    recorder = Recorder(cluster, client)
    moves.begin(recorder)
    if sources is None:
        time.sleep(_OBSERVED)
        moves.copy(recorder)
        return
    sources.mkdir()
    cluster.ceph("config", "set", "mgr", "mgr/rbd_migration/import_folders", str(sources))
    with WebServer(sources) as web:
        imports = Imports(recorder, sources, web)
        imports.begin()
        time.sleep(_OBSERVED)
        moves.copy(recorder)
        imports.copy()


def _objects(client: rados.Rados, sources: Optional[Path]) -> "dict[str, dict[str, str]]":
    """Return the keys and values of the store, without the names of this machine."""

    def anonymous(value: bytes) -> str:
        text = value.decode().replace(f'"host":"{socket.gethostname()}"', '"host":"host"')
        return text if sources is None else text.replace(str(sources), "/sources")

    with place(client, f"{TARGETS}/-") as ioctx:
        return {
            name: {key: anonymous(value) for key, value in omap(ioctx, name).items()}
            for name in OBJECTS
        }
