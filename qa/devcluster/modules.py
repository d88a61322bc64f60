"""The manager's module folder: links to the system's modules, and ours beside them."""

import shutil
from pathlib import Path

from qa.devcluster.layout import REPOSITORY
from qa.releases.catalogue import MANAGER_PYTHON

SYSTEM_MODULES = Path("/usr/share/ceph/mgr")
MODULE = "rbd_migration"

# On Debian 12 it fails to load, and where it does not the dashboard does.
_LEFT_OUT = {"__pycache__", "restful"}


def module_exists(repository: Path = REPOSITORY) -> bool:
    return (repository / "mgr_module" / MODULE / "module.py").is_file()


def fill(folder: Path, repository: Path = REPOSITORY) -> None:
    """Bring the folder up to date; what is there already is replaced."""
    for entry in folder.iterdir():
        _remove(entry)
    wanted: dict[str, Path] = {
        path.name: path for path in SYSTEM_MODULES.iterdir() if path.name not in _LEFT_OUT
    }
    needed = Path(MANAGER_PYTHON)
    if needed.is_dir():
        wanted.update({path.name: path for path in needed.iterdir()})
    for ours in (repository / "mgr_module" / MODULE, repository / "src" / "rbdmigrate"):
        if ours.is_dir():
            wanted[ours.name] = ours
    drop_in = repository / "mgr_module" / "dashboard"
    if drop_in.is_dir() and "dashboard" in wanted:
        _dashboard_with(drop_in, wanted.pop("dashboard"), folder / "dashboard")
    for name, target in wanted.items():
        (folder / name).symlink_to(target)


def _dashboard_with(drop_in: Path, stock: Path, folder: Path) -> None:
    """A dashboard with our files among its controllers.

    It loads regular files only, not links, and finds them relative to where it is itself.
    """
    folder.mkdir()
    for entry in stock.iterdir():
        if entry.name != "controllers":
            (folder / entry.name).symlink_to(entry)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(stock / "controllers", folder / "controllers", ignore=ignore)
    shutil.copytree(drop_in, folder / "controllers", ignore=ignore, dirs_exist_ok=True)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
