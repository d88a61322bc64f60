"""Who did what, on a real cluster: the timeline, the history and the cluster's audit log."""

import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image
from tests.cluster.commands import Commands, wait_audited


def test_a_request_is_in_the_timeline_and_in_the_audit_log(
    cluster: Cluster, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, MIB, 64 * KIB)
    migration.text("prepare", source, target)
    migration.text("pause", target)
    migration.text("resume", target)
    requests = [(e["message"], e["by"]) for e in migration.report(target)["timeline"] if e["by"]]
    assert requests[1:] == [("pause", "command line"), ("resume", "command line")]
    migration.text("abort", target)
    wait_audited(cluster, f"rbd migration pause target_image={target} by 'command line': accepted")
    exported = migration.text("history", target, "--export", "csv").splitlines()
    assert exported[0].startswith("id,source,target,state,method,")
    assert exported[1].endswith(",command line")
