"""Pictures of the real dashboard: its menu with the entry, and the page that the entry leads to."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from qa.devcluster import Cluster, ClusterOptions

_TIMEOUT = 60_000  # milliseconds
_VIEWPORT = {"width": 1280, "height": 900}
_ANIMATED = 1_000  # milliseconds in which the dashboard ends its animations


def log_in(page: Page, cluster: Cluster, user: str, password: str) -> None:
    """Use the dashboard's own form."""
    page.goto(cluster.dashboard()["url"] + "/#/login")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit], input[type=submit]").first.click()
    page.wait_for_url(re.compile(r"#/(?!login)"))


def take_dashboard(browser: Browser, folder: Path, release: str) -> Iterator[Path]:
    """Yield each picture of a cluster of its own, which has migrations in several states.

    The names begin with that of the release of Ceph.
    """
    with (
        tempfile.TemporaryDirectory(prefix="rbd-ui-", dir="/tmp") as top,
        Cluster(Path(top) / "cluster") as cluster,
    ):
        cluster.up(ClusterOptions(dashboard=True))
        _migrate(cluster)
        page = browser.new_page(viewport=_VIEWPORT)
        page.set_default_timeout(_TIMEOUT)
        access = cluster.dashboard()
        log_in(page, cluster, access["user"], access["password"])
        page.get_by_text("Block", exact=True).first.click()
        entry = page.get_by_role("link", name="Live migration")
        entry.wait_for()
        yield _picture(page, folder / f"{release}-dashboard-menu.png")
        entry.hover()
        yield _picture(page, folder / f"{release}-dashboard-menu-pointed-at.png")
        entry.click()
        page.get_by_role("heading", name="Overview").wait_for()
        yield _picture(page, folder / f"{release}-dashboard-page.png")


def _migrate(cluster: Cluster) -> None:
    for pool in ("hdd", "nvme"):
        cluster.create_pool(pool)
    for number in range(3):
        cluster.rbd("create", "--size", "8M", f"hdd/vm{number}")
    cluster.rbd("migration", "prepare", "hdd/vm0", "nvme/vm0")
    for number, command in ((1, "prepare"), (2, "run")):
        cluster.ceph("rbd", "migration", command, f"hdd/vm{number}", f"nvme/vm{number}")


def _picture(page: Page, path: Path) -> Path:
    page.wait_for_timeout(_ANIMATED)
    page.screenshot(path=path)
    return path
