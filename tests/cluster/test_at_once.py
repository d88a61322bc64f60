"""One object at a time where clients could read an object that is copied in part."""

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image
from rbdmigrate.cluster.client import Identity
from rbdmigrate.control.objects.copy_cost import CopyCost
from rbdmigrate.model.jobs.acts import Execute
from rbdmigrate.model.migration import Place
from rbdmigrate.worker.copy.concurrency import limited_concurrency
from rbdmigrate.worker.session import Session
from tests.cluster.commands import Commands

KEY = "rbd_concurrent_management_ops"


@pytest.mark.parametrize(
    ("snapshots", "verify", "data", "ops"),
    [
        ([], "none", MIB, "10"),
        ([], "none", 4 * KIB, "60"),
        (["one"], "none", 4 * KIB, "1"),
        ([], "full", MIB, "10"),
        (["one"], "full", MIB, "1"),
    ],
)
def test_an_image_with_snapshots_but_the_one_for_comparing(
    snapshots, verify, data, ops, cluster: Cluster, client: rados.Rados, migration: Commands, pools
):
    costs = CopyCost.of(MIB, 64 * KIB, [(0, data)])
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, snapshots=snapshots)
    migration.text("run", source, target, "--goal", "prepared", "--verify", verify)
    ident = migration.report(target)["target_image_id"]
    place = Place(pools[1], "", "disk", int(client.pool_lookup(pools[1])), ident)
    point = f"rbd-migration-{migration.report(target)['id']}" if verify == "full" else ""
    act = Execute(comparison_snapshot=point)
    session = Session(Identity("client.admin", str(cluster.conf), ""))
    with session.open(place) as ioctx:
        with limited_concurrency(session, ioctx, place, act, costs, imported=False):
            assert session.rados.conf_get(KEY) == ops
        assert session.rados.conf_get(KEY) == "10"
