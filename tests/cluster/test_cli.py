"""The ``ceph`` tool itself, and the stand-in that most tests use for it."""

import json
from subprocess import CompletedProcess

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import make_image
from tests.cluster.commands import Commands
from tests.cluster.in_process_cli import InProcessCli

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
    found = InProcessCli(cluster, client).run(["rbd", "migration", *args], 20)
    assert _seen(found) == _seen(real), "also when it has not asked for the commands yet"


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
    return done.returncode, done.stdout.strip(), done.stderr.strip()
