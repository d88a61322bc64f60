"""Views of an image are opened and closed without a crash; on release 20 that takes care."""

import subprocess
import sys

import pytest
import rados

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY
from qa.workload.images import image_id, make_image

# In a process of its own: what this is about ends it.
_OPEN_AND_CLOSE = """
import sys, rados
from rbdmigrate.worker.verify.image_views import open_view
conf, pool, ident = sys.argv[1:]
client = rados.Rados(conffile=conf, name="client.admin")
client.connect()
with client.open_ioctx(pool) as ioctx:
    for number in range(300):
        for snapshot in ("one", "two", None):
            open_view(ioctx, ident, snapshot).close()
"""


@pytest.mark.timeout(200)
def test_views_are_opened_and_closed_at_once(
    cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    make_image(client, f"{pools[0]}/disk")
    ident = image_id(client, f"{pools[0]}/disk")
    done = subprocess.run(
        [sys.executable, "-c", _OPEN_AND_CLOSE, str(cluster.conf), pools[0], ident],
        env={**cluster.env, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
