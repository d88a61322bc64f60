"""Health warnings on a real cluster: they come, can be muted, and go by themselves."""

from collections.abc import Iterator

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image
from qa.workload.module_options import module_options
from tests.cluster.commands import Commands

_CODE = "RBD_MIGRATION_UNFINISHED"
_SOON = 60.0  # seconds for a warning to come or go


@pytest.fixture
def impatient(cluster: Cluster) -> "Iterator[None]":
    """A migration is warned of when it rests for 3.6 seconds."""
    with module_options(cluster, warn_unfinished="0.001"):
        yield


@pytest.mark.usefixtures("impatient")
def test_a_migration_left_half_done_is_warned_of_until_it_ends(
    cluster: Cluster, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, MIB, 64 * KIB)
    migration.text("prepare", source, target)
    cluster.wait_for(lambda: _CODE in cluster.health()["checks"], _SOON, "the warning")
    (line,) = cluster.ceph_json("health", "detail")["checks"][_CODE]["detail"]
    assert f"{source} -> {target}: It has been prepared for" in line["message"]
    cluster.ceph("health", "mute", _CODE, "1h")
    muted = cluster.ceph_json("health")
    assert muted["checks"][_CODE]["muted"]
    cluster.ceph("health", "unmute", _CODE)
    migration.text("abort", target)
    cluster.wait_for(lambda: _CODE not in cluster.health()["checks"], _SOON, "its end")
