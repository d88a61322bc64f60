"""A plan moves the disks of many running guests, wave by wave, while their agent is killed."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.guest import AgentProcess, GuestOptions, Machine, RbdDisk
from qa.workload.images import MIB, image_id, place
from tests.cluster.commands import Commands

Pools = "tuple[str, str]"
SIZE = 16 * MIB
LIFETIME = 900  # seconds


@pytest.fixture
def guests(
    cluster: Cluster,
    client: rados.Rados,
    pools: Pools,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> "Iterator[list[Machine]]":
    """As many running guests as the test asks for, each with a disk ``vm-N`` in the first pool."""
    found = []
    with contextlib.ExitStack() as stack:
        for number in range(request.param):
            disk = f"vm-{number}"
            with place(client, f"{pools[0]}/{disk}") as ioctx:
                rbd.RBD().create(ioctx, disk, SIZE)
            options = GuestOptions(
                (RbdDisk(pools[0], disk, layer="raw"),),
                name=f"g{number}",
                writes=10,
                lifetime=LIFETIME,
            )
            mark = str(cluster.layout.root)
            machine = Machine(tmp_path, cluster.conf, options, env=cluster.env, mark=mark)
            found.append(stack.enter_context(machine))
        yield found


@pytest.mark.timeout(LIFETIME)
@pytest.mark.parametrize("guests", [3, 12], indirect=True)
def test_a_plan_moves_guests_in_waves_while_their_agent_is_killed_twice(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    guests: "list[Machine]",
    tmp_path: Path,
) -> None:
    cluster.ceph("config", "set", "mgr", "mgr/rbd_migration/agent_interval", "1")
    before = {disk: image_id(client, disk) for disk in disks(pools, guests)}
    plan = {
        "plan": f"fleet-{int(time.time())}",
        "select": [{"pool": pools[0], "name": "vm-*"}],
        "map": {"object_size": "1M"},
        "waves": {"size": max(1, len(guests) // 3)},
        "policy": {"method": "warm", "cutover": "agent", "max_pause": "60s", "verify": "none"},
    }
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    with AgentProcess(cluster, tmp_path, "pve3", lifetime=LIFETIME) as agent:
        migration.text("plan", "create", "-i", str(file))
        agent.die_at("agent.after", "close")
        migration.ask("plan start", plan=plan["plan"])
        for step in ("open", ""):
            cluster.wait_for(lambda: not agent.running, 200, f"the agent to die before {step}")
            if step:
                agent.die_at("agent.after", step)
            agent.start()

        def done() -> bool:
            report = migration.ask("plan show", plan=plan["plan"])
            assert "failures" not in report["state"], report
            return bool(report["state"] == "done")

        cluster.wait_for(done, 500, "the plan to be done")
        for machine in guests:
            machine.wait_writes(5)
            assert all(report.clean for report in machine.reports().values()), machine.complaints()
        moved = {disk: image_id(client, disk) for disk in disks(pools, guests)}
        assert all(moved[disk] != ident for disk, ident in before.items())
        assert agent.said.count("goes on after") >= len(guests)  # one or two were paused again


def disks(pools: Pools, guests: "list[Machine]") -> "list[str]":
    """The specs of all disks."""
    return [f"{pools[0]}/vm-{number}" for number in range(len(guests))]
