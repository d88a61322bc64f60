"""The stores of former versions are read, and their migrations carried on."""

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import digests, names, speed_up
from rbdmigrate.model.migration_codec import decode
from tests.cluster.commands import Commands
from tests.cluster.importing import Place, place  # noqa: F401 - a fixture
from tests.cluster.transplant import STORES, Recorded, Transplant
from tests.cluster.transplanted_import import import_digests

OLDEST, LATEST = "1929a13", "68f5f44"
_STATES = {"prepared", "executing", "executed", "committed", "aborted"}


@pytest.mark.parametrize("version", sorted(path.stem for path in STORES.glob("*.json")))
def test_every_record_of_a_former_version_is_understood(version: str) -> None:
    recorded = Recorded.load(version)
    found = {
        key: decode(value.encode())
        for entries in recorded.objects.values()
        for key, value in entries.items()
        if key != "owner"
    }
    assert {key: record.state.value for key, record in found.items()} == recorded.states
    moves = {record.state.value for record in found.values() if record.imported is None}
    imports = {record.state.value for record in found.values() if record.imported is not None}
    assert moves == _STATES
    assert imports in (set(), _STATES)  # the oldest have none


@pytest.mark.parametrize("version", [OLDEST, LATEST])
def test_migrations_of_a_former_version_go_on(
    version: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    place: Place,  # noqa: F811
) -> None:
    recorded = Recorded.load(version)
    imports = any(record.get("imported") for record in recorded.under_way())
    if imports and not cluster.layout.s3.exists():
        pytest.skip("the cluster has no object gateway")
    transplant = Transplant(cluster, client, pools, place)
    others = _secrets(cluster)
    transplant.plant(recorded)
    secrets = _secrets(cluster) - others
    cluster.mgr_fail()
    target, before = transplant.target, transplant.before

    cluster.wait_for(
        lambda: len(_here(migration, pools)) == len(before), 40, "the records to be loaded"
    )
    assert "RBD_MIGRATION_RECORD" not in cluster.health()["checks"]
    kinds = ("", "import-") if imports else ("",)
    for kind in kinds:
        assert migration.report(target(f"{kind}prepared"))["state"] == "prepared"
        assert migration.report(target(f"{kind}executed"))["state"] == "executed"
        assert migration.report(target(f"{kind}paused"))["paused"]
        for name in ("committed", "aborted"):
            assert migration.ended(target(f"{kind}{name}"))[0]["state"] == name
    assert secrets <= _secrets(cluster)

    for name in ("paused", "executing"):
        speed_up(client, target(name))
    if imports:
        prepared, content = target("import-prepared"), before.pop("import-prepared")
        assert import_digests(cluster, prepared) == content, "it shows what is at its source"
        assert "aborted" in migration.text("abort", prepared)
        assert prepared.rpartition("/")[2] not in names(client, pools[1])
        for name in ("import-paused", "import-executing"):
            migration.ask("set", target_image=target(name), rate="off")
    for kind in kinds:
        migration.text("resume", target(f"{kind}paused"))
    for name in ("prepared", *(f"{kind}executed" for kind in kinds)):
        migration.text("execute", target(name))
        migration.wait(target(name), "executed")
        migration.text("commit", target(name))
    for name, content in before.items():
        migration.wait(target(name), "committed", timeout=90)
        assert digests(client, target(name)) == content
    assert not secrets & _secrets(cluster)


def _here(migration: Commands, pools: "tuple[str, str]") -> "list[str]":
    return [r["target"] for r in migration.under_way() if r["target"].split("/")[0] == pools[1]]


def _secrets(cluster: Cluster) -> "set[str]":
    keys = cluster.ceph_json("config-key", "ls")
    return {key for key in keys if key.startswith("rbd/migration/")}
