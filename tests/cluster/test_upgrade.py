"""The stores of former versions are read, and their migrations carried on."""

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import digests, speed_up
from rbdmigrate.model.migration import decode
from tests.cluster.commands import Commands
from tests.cluster.transplant import STORES, Recorded, Transplant

OLDEST, LATEST = "1929a13", "effa61e"


@pytest.mark.parametrize("version", sorted(path.stem for path in STORES.glob("*.json")))
def test_every_record_of_a_former_version_is_understood(version: str) -> None:
    recorded = Recorded.load(version)
    found = [
        decode(value.encode())
        for entries in recorded.objects.values()
        for key, value in entries.items()
        if key != "owner"
    ]
    assert len(found) == 6


@pytest.mark.slow
@pytest.mark.parametrize("version", [OLDEST, LATEST])
def test_migrations_of_a_former_version_go_on(
    version: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    recorded, transplant = Recorded.load(version), Transplant(cluster, client, pools)
    transplant.plant(recorded)
    cluster.mgr_fail()
    target = transplant.target

    cluster.wait_for(lambda: len(_here(migration, pools)) == 4, 40, "the records to be loaded")
    assert "RBD_MIGRATION_RECORD" not in cluster.health()["checks"]
    assert migration.report(target("prepared"))["state"] == "prepared"
    assert migration.report(target("executed"))["state"] == "executed"
    assert migration.report(target("paused"))["paused"]
    for name in ("committed", "aborted"):
        assert migration.ended(target(name))[0]["state"] == name

    for name in ("paused", "executing"):
        speed_up(client, target(name))
    migration.text("resume", target("paused"))
    for name in ("prepared", "executed"):
        migration.text("execute", target(name))
        migration.wait(target(name), "executed")
        migration.text("commit", target(name))
    for name, before in transplant.before.items():
        migration.wait(target(name), "committed", timeout=90)
        assert digests(client, target(name)) == before


def _here(migration: Commands, pools: "tuple[str, str]") -> "list[str]":
    return [r["target"] for r in migration.under_way() if r["target"].split("/")[0] == pools[1]]
