"""What clients do to a target that is not copied yet: status and health say it."""

import shlex
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, digests, image_id, make_image, names
from tests.cluster.commands import Commands

_NOTICED = 90.0  # seconds until the next look at a target that nothing is done about
_HEALTH = "RBD_MIGRATION_TARGET"


class Target:
    """A prepared target, and what its source holds."""

    def __init__(
        self,
        cluster: Cluster,
        client: rados.Rados,
        migration: Commands,
        pools: "tuple[str, str]",
    ) -> None:
        self.cluster, self.client, self.migration = cluster, client, migration
        self.pools = pools
        self.source, self.spec = f"{pools[0]}/disk", f"{pools[1]}/disk"
        make_image(client, self.source, 4 * MIB, 64 * KIB)
        self.views = digests(client, self.source)
        migration.text("prepare", self.source, self.spec, "--verify", "none")

    def wait_for_warning(self, code: str) -> str:
        """Its message, once ``status`` and ``health`` have it."""
        self.cluster.wait_for(lambda: self.warning(code) and self.health(), _NOTICED, code)
        assert self.spec in self.health()
        message = self.warning(code)
        assert message in self.migration.text("status", self.spec)
        return message

    def warning(self, code: str) -> str:
        warnings: list[dict[str, Any]] = self.migration.report(self.spec)["warnings"]
        return next((str(w["message"]) for w in warnings if w["code"] == code), "")

    def health(self) -> str:
        """The details of the health warning that name the target."""
        check = self.cluster.ceph_json("health", "detail")["checks"].get(_HEALTH)
        lines = [] if check is None else [line["message"] for line in check["detail"]]
        return "\n".join(line for line in lines if self.spec in line)

    def remove_lock_that_is_named(self, lock: str) -> None:
        """Wait until ``status`` names the lock, and run the command that it says."""

        def named() -> str:
            report = self.migration.report(self.spec)
            said = [str((report[part] or {}).get("message")) for part in ("failure", "hold")]
            return next((text for text in said if f"the lock {lock!r}" in text), "")

        message = self.cluster.wait_for(named, 90, "the lock to be named")
        assert self.migration.report(self.spec)["copied_by"] == ""
        command = message.rpartition("remove it with `")[2].partition("`")[0]
        self.cluster.rbd(*shlex.split(command)[1:])

    def abort(self) -> None:
        """Give it up; the source is as it was, and the warning is gone."""
        self.migration.text("abort", self.spec, "--force")
        self.migration.wait(self.spec, "aborted", timeout=90)
        assert digests(self.client, self.source) == self.views
        assert names(self.client, self.pools[1]) == []
        self.cluster.wait_for(lambda: not self.health(), _NOTICED, "the warning to be gone")


@pytest.fixture
def target(
    cluster: Cluster, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> Target:
    return Target(cluster, client, migration, pools)


def test_a_removed_snapshot_is_named_and_the_copy_gives_up_after_two_crashes(
    target: Target,
) -> None:
    first = next(view for view in target.views if view)
    target.cluster.rbd("snap", "rm", f"{target.spec}@{first}")
    message = target.wait_for_warning("SNAPSHOT_REMOVED")
    assert f"({first})" in message
    target.migration.text("execute", target.spec)

    def failed() -> bool:
        return target.migration.report(target.spec)["state"] == "failed"

    target.cluster.wait_for(failed, 120, "the copy to fail")
    report = target.migration.report(target.spec)
    assert "crashed librbd twice" in report["failure"]["message"]
    assert f"({first})" in report["failure"]["message"]
    assert 0 <= report["bytes_copied"] <= report["bytes_total"]
    target.abort()


def test_a_target_that_was_shrunk_and_grew_again(target: Target) -> None:
    target.cluster.rbd("resize", "--size", "1M", "--allow-shrink", "--no-progress", target.spec)
    assert "1 MiB" in target.wait_for_warning("TARGET_SHRUNK")
    target.cluster.rbd("resize", "--size", "4M", "--no-progress", target.spec)
    assert "beyond 1 MiB" in target.wait_for_warning("TARGET_GROWN_AGAIN")
    target.migration.text("execute", target.spec)
    target.migration.wait(target.spec, "executed")
    assert target.warning("TARGET_GROWN_AGAIN"), "the data has to be looked at after the copy too"
    target.abort()


def test_a_lock_on_the_target_is_named_with_the_command_that_removes_it(target: Target) -> None:
    """librbd would wait for it, without a word."""
    target.cluster.rbd("lock", "add", target.spec, "host1")
    target.migration.text("execute", target.spec)
    target.remove_lock_that_is_named("host1")
    target.migration.text("retry", target.spec)
    target.migration.wait(target.spec, "executed", timeout=90)
    target.cluster.rbd("lock", "add", target.spec, "host2")
    target.migration.raw("abort", target.spec, "--force")
    target.remove_lock_that_is_named("host2")
    target.abort()


def test_a_target_in_the_trash_waits_until_it_is_restored(target: Target) -> None:
    target.migration.text("execute", target.spec)
    target.migration.wait(target.spec, "executed")
    views = digests(target.client, target.spec)
    ident = image_id(target.client, target.spec)
    target.cluster.rbd("trash", "mv", target.spec)
    restore = f"rbd trash restore {target.pools[1]}/{ident}"
    assert restore in target.wait_for_warning("TARGET_IN_TRASH")
    target.cluster.rbd(*restore.split()[1:])
    target.cluster.wait_for(lambda: not target.health(), _NOTICED, "the warning to be gone")
    target.migration.text("commit", target.spec)
    target.migration.wait(target.spec, "committed")
    assert digests(target.client, target.spec) == views
