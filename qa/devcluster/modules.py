"""A manager's module directory: links to the system's modules, together with rbd_migration."""

import shutil
from pathlib import Path
from typing import Optional

from qa.devcluster.layout import REPOSITORY
from qa.releases.catalogue import MANAGER_PYTHON

SYSTEM_MODULES = Path("/usr/share/ceph/mgr")
MODULE = "rbd_migration"

# On Debian 12 it fails to load, and where it does not the dashboard does.
_LEFT_OUT = {"__pycache__", "restful"}

# A manager imports all modules that it finds, each in a Python interpreter of its own, whether they
# are enabled or not: that is most of the time that it takes to start. None of these is always on.
_NOT_NEEDED = {
    "alerts", "cephadm", "diskprediction_local", "feedback", "hello", "influx", "insights",
    "iostat", "k8sevents", "localpool", "mds_autoscaler", "mirroring", "osd_perf_query",
    "osd_support", "prometheus", "rgw", "rook", "selftest", "snap_schedule", "stats",
    "telegraf", "test_orchestrator", "zabbix",
}  # fmt: skip
# Later releases' dashboards import nfs, that of 20 smb too.
_WITH_DASHBOARD = {"dashboard", "nfs", "smb"}


def module_exists(repository: Path = REPOSITORY) -> bool:
    return (repository / "mgr_module" / MODULE / "module.py").is_file()


def fill(
    folder: Path, linked: bool = True, dashboard: bool = True, repository: Path = REPOSITORY
) -> None:
    """Bring the folder up to date.

    With ``linked`` it is made again, with rbd_migration as links into the repository. Otherwise it
    is made once without rbd_migration, for an installer to put it there. Of the system's modules it
    has those that Ceph always runs, and the dashboard if wanted.
    """
    if not linked and folder.exists():
        return
    folder.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        _remove(entry)
    left_out = _LEFT_OUT | _NOT_NEEDED | (set() if dashboard else _WITH_DASHBOARD)
    wanted: dict[str, Path] = {
        path.name: path for path in SYSTEM_MODULES.iterdir() if path.name not in left_out
    }
    needed = Path(MANAGER_PYTHON)
    if needed.is_dir():
        wanted.update({path.name: path for path in needed.iterdir()})
    for ours in (repository / "mgr_module" / MODULE, repository / "src" / "rbdmigrate"):
        wanted.pop(ours.name, None)  # of a Debian package of ours
        if linked and ours.is_dir():
            wanted[ours.name] = ours
    drop_in = repository / "mgr_module" / "dashboard"
    if "dashboard" in wanted and (drop_in.is_dir() or not linked):
        stock = wanted.pop("dashboard")
        _dashboard_with(drop_in if linked else None, stock, folder / "dashboard")
    for name, target in wanted.items():
        (folder / name).symlink_to(target)


def _dashboard_with(drop_in: Optional[Path], stock: Path, folder: Path) -> None:
    """Make a dashboard whose controllers are a folder of files, with the drop-in among them.

    The dashboard loads only regular files, not links, and finds them relative to its own path.
    """
    folder.mkdir()
    for entry in stock.iterdir():
        if entry.name != "controllers":
            (folder / entry.name).symlink_to(entry)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(stock / "controllers", folder / "controllers", ignore=ignore)
    if drop_in:
        shutil.copytree(drop_in, folder / "controllers", ignore=ignore, dirs_exist_ok=True)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
