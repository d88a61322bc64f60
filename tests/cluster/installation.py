"""Trees of other versions of rbd_migration, and installing one for a manager with install.sh."""

import re
import shutil
import subprocess
from pathlib import Path

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY

#: The version of ``newer_tree``, and the field that its records have.
NEWER, FIELD = "99.0.0", "colour"


def newer_tree(folder: Path) -> Path:
    """A source tree of a version that writes a field into its records that ours does not know."""
    for part in ("packaging", "mgr_module", "src"):
        shutil.copytree(REPOSITORY / part, folder / part)
    _edit(folder / "src/rbdmigrate/__init__.py", r'(__version__ = )".*"', rf'\1"{NEWER}"')
    _edit(
        folder / "src/rbdmigrate/model/migration.py",
        r"(\n    timeline: tuple)",
        rf'\n    {FIELD}: str = ""\1',
    )
    _edit(  # it does not have its default, and so is stored
        folder / "src/rbdmigrate/model/migration_codec.py",
        r"(dumped\()(to_stored\(migration\))",
        rf'\1{{"{FIELD}": "blue", **\2}}',
    )
    return folder


def _edit(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"))
    assert count == 1, f"{file} has changed; adapt this"
    file.write_text(text, encoding="utf-8")


def installer(
    cluster: Cluster, manager: str, *args: str, tree: Path = REPOSITORY
) -> "subprocess.CompletedProcess[str]":
    """Run the tree's install.sh for one manager; any outcome."""
    script = str(tree / "packaging" / "install.sh")
    folder = str(cluster.layout.modules_of(manager))
    return cluster.run([script, "--module-dir", folder, *args], check=False)


def install(cluster: Cluster, manager: str, *args: str, tree: Path = REPOSITORY) -> str:
    """Run it as ``installer`` does; returns what it said, and it has to succeed."""
    done = installer(cluster, manager, *args, tree=tree)
    assert done.returncode == 0, done.stderr
    return done.stdout


def restart(cluster: Cluster, manager: str) -> None:
    """Restart one manager, as an administrator does host by host."""
    before = cluster.mon_command("mgr dump")
    # The map keeps the stopped one for a while, as a standby too, and would make it active.
    daemons = [*before["standbys"], {"name": before["active_name"], "gid": before["active_gid"]}]
    gone = {each["gid"] for each in daemons if each["name"] == manager}
    cluster.mgr_stop(manager)
    cluster.mgr_start(manager)
    cluster.wait_mgrs(not_these=gone)
