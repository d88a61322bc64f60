"""The ``ceph`` tool itself, and the stand-in that most tests use for it."""

import json
import re
from subprocess import CompletedProcess

import pytest
import rados

from qa.devcluster import Cluster
from qa.devcluster.errors import CommandFailed
from qa.devcluster.in_process_cli import InProcessCli
from qa.workload.images import make_image
from tests.cluster.commands import Commands

CALLS = [
    "ls",
    "ls --format json",
    "status {0}/nonesuch",
    "prepare {0}/disk {0}/other --object-size 5M",
    "prepare {0}/disk",
    "throttle --format json-pretty",
    "check {0}/disk {1}/disk",
    "commit {0}/disk --force",
    "pause",
    "throttle",
    "execute {0}/disk surplus",
    "nonesuch {0}/disk",
    "prepare",
    "prepare {0}/disk {1}/disk --colour red",
    "set {0}/disk --priority much",
    "ls --format nonesuch",
    "status --format xml",
]


@pytest.mark.parametrize("call", CALLS)
def test_the_stand_in_does_what_the_tool_does(
    call: str,
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
) -> None:
    make_image(client, f"{pools[0]}/disk", 4 << 20)
    args = call.format(*pools).split()
    real, stand_in = migration.cli(*args), migration.raw(*args)
    assert _seen(stand_in) == _seen(real)
    found = InProcessCli().run(
        client, ["rbd", "migration", *args], 20, lambda: migration.cli(*args)
    )
    assert _seen(found) == _seen(real), "also when it has not asked for the commands yet"


OF_MONITORS = [
    "config set mgr mgr/rbd_migration/max_copies 4",
    "config get mgr mgr/rbd_migration/max_copies",
    "config rm mgr mgr/rbd_migration/max_copies",
    "config get mgr rbd_default_pool",
    "osd pool set {0} nosnaptrim 1",
    "osd pool get nonesuch size",
    "config-key get nonesuch",
    "osd pool ls --format json",
    "nonesuch",
]


@pytest.mark.parametrize("call", OF_MONITORS)
def test_a_command_of_the_monitors_does_what_the_tool_does(
    call: str, cluster: Cluster, pools: "tuple[str, str]"
) -> None:
    args = call.format(*pools).split()
    real = cluster.run(["ceph", *args], check=False)
    try:
        code, said, told = 0, cluster.ceph(*args), real.stderr
    except CommandFailed as error:
        code, said, told = error.returncode or 0, error.stdout, error.stderr
    assert (code, said.strip(), told.strip()) == _seen(real)


def test_the_way_through_the_tool(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/through-the-tool"
    make_image(client, source, 4 << 20)
    for command in (f"prepare {source} {target}", f"execute {target}", f"commit {target}"):
        done = migration.cli(*command.split())
        assert (done.returncode, done.stderr) == (0, ""), command
        if command.startswith("execute"):
            migration.wait(target, "executed")
    listed = migration.cli("ls", "--all", "--format", "json")
    assert [r["state"] for r in json.loads(listed.stdout) if r["target"] == target] == ["committed"]


def _seen(done: "CompletedProcess[str]") -> "tuple[int, str, str]":
    """Free space changes from one command to the next."""
    out = re.sub(r"[\d.]+ GiB free", "GiB free", done.stdout.strip())
    return done.returncode, out, done.stderr.strip()
