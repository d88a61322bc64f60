"""The disks of a real guest in QEMU: found, closed, and opened again, while it writes."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.guest import GuestOptions, Machine, RbdDisk
from qa.workload.images import MIB, opened, place
from rbdmigrate_agent.guests import exchanging
from rbdmigrate_agent.guests.errors import GuestError, NoAnswer
from rbdmigrate_agent.guests.model import DiskExchange, Guest, ImageLocation, Side, Where
from rbdmigrate_agent.guests.plain_qemu import PlainGuests
from rbdmigrate_agent.guests.qmp import QmpSocket

SIZE = 32 * MIB
KINDS = {
    "raw": RbdDisk("", "", layer="raw"),
    "leaf-iothread": RbdDisk("", "", iothread=True),
    "scsi-raw": RbdDisk("", "", device="virtio-scsi", layer="raw"),
    "scsi-leaf": RbdDisk("", "", device="virtio-scsi"),
    "inline": RbdDisk("", "", layer="inline"),
    "drive": RbdDisk("", "", layer="drive"),
    "proxmox": RbdDisk("", "", device="virtio-scsi", layer="proxmox"),
    "nested": RbdDisk("", "", layer="nested"),
}


class Host:
    """A host with one guest, and the agent's view of it."""

    def __init__(self, cluster: Cluster, client: rados.Rados, machine: Machine) -> None:
        self.cluster, self.client, self.machine = cluster, client, machine
        self.connection = PlainGuests(
            folders=[str(machine.folder)], timeout=30, confs=machine.folder / "confs"
        )

    def guest(self) -> Guest:
        found = self.connection.guests()
        assert found.failures == ()
        (guest,) = found.guests
        return guest

    def plans(self, pool: str) -> "list[DiskExchange]":
        """Plans for all disks, each to an image of the same name in ``pool``."""
        guest = self.guest()
        assert self.connection.obstacles(guest, guest.disks) == []
        made = [
            self.connection.plan(guest, disk, ImageLocation(pool, "", disk.location.image))
            for disk in guest.disks
        ]
        return [DiskExchange.from_json(each.to_json()) for each in made]

    def watchers(self, location: ImageLocation) -> int:
        with opened(self.client, str(location)) as image:
            return len(list(image.watchers_list()))

    def copy(self, source: ImageLocation, target: ImageLocation) -> None:
        """Make the target a copy of the source, whatever it was."""
        with place(self.client, str(target)) as there:
            if target.image in rbd.RBD().list(there):
                rbd.RBD().remove(there, target.image)
            with opened(self.client, str(source)) as image:
                image.deep_copy(there, target.image)

    def must_be_clean(self, more: int = 100) -> None:
        """The guest writes on, and nothing was ever wrong."""
        self.machine.wait_writes(more)
        found = self.machine.reports()
        assert all(report.clean for report in found.values()), self.machine.complaints()


@pytest.fixture
def host(
    cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]", tmp_path: Path
) -> "Callable[..., contextlib.AbstractContextManager[Host]]":
    @contextlib.contextmanager
    def started(*kinds: str) -> Iterator[Host]:
        disks = []
        for number, kind in enumerate(kinds):
            name, like = f"disk{number}", KINDS[kind]
            create(client, f"{pools[0]}/{name}")
            disks.append(RbdDisk(pools[0], name, "", like.device, like.layer, like.iothread))
        options = GuestOptions(tuple(disks))
        mark = str(cluster.layout.root)
        with Machine(tmp_path, cluster.conf, options, env=cluster.env, mark=mark) as machine:
            yield Host(cluster, client, machine)

    return started


def create(client: rados.Rados, spec: str, size: int = SIZE) -> None:
    with place(client, spec) as ioctx:
        rbd.RBD().create(ioctx, spec.rsplit("/", maxsplit=1)[-1], size)


def test_all_kinds_of_disks_go_to_another_image_in_one_pause(
    host: Any, cluster: Cluster, pools: "tuple[str, str]"
) -> None:
    with host(*KINDS) as here:
        connection, guest = here.connection, here.guest()
        assert guest.name == "guest"
        assert guest.pid == here.machine.pid
        assert guest.status == "running"
        assert {(disk.location.image, disk.size, disk.fixed) for disk in guest.disks} == {
            (f"disk{number}", SIZE, "") for number in range(len(KINDS))
        }
        confs = [str(here.machine.folder / "no-keyring.conf")]  # of Proxmox VE's disk
        confs += [str(cluster.conf)] * (len(KINDS) - 1)
        assert sorted(disk.conf for disk in guest.disks) == sorted(confs)
        assert {disk.user for disk in guest.disks} == {"admin"}
        plans = here.plans(pools[1])
        connection.prepare(plans)
        here.machine.wait_writes(50)
        assert connection.pause(guest) == "running"
        connection.close(plans)
        assert here.guest().on_placeholder == tuple(sorted(each.device for each in plans))
        assert [here.watchers(each.source) for each in plans] == [0] * len(plans)
        with pytest.raises(GuestError, match="not continued"):
            connection.resume(plans)
        for each in plans:
            here.copy(each.source, each.target)
            connection.open(each, Side.TARGET)
        assert connection.resume(plans)
        assert {connection.where(each).where for each in plans} == {Where.TARGET}
        here.must_be_clean()
        assert {here.watchers(each.target) for each in plans} == {1}
        assert {here.watchers(each.source) for each in plans} == {0}
        assert len(list(here.machine.folder.glob("confs/*.conf"))) == 1
        connection.tidy(plans)
        assert list(here.machine.folder.glob("confs/*")) == []
        # And back again: the options are still known.
        back = here.plans(pools[0])
        connection.pause(here.guest())
        connection.close(back)
        for each in back:
            here.copy(each.source, each.target)
            connection.open(each, Side.TARGET)
        connection.resume(back)
        here.must_be_clean()


def test_the_same_image_is_opened_again_and_a_restarted_guest_finds_all(host: Any) -> None:
    with host("raw", "leaf-iothread") as here:
        connection = here.connection
        guest = here.guest()
        plans = [connection.plan(guest, disk, disk.location) for disk in guest.disks]
        connection.prepare(plans)
        connection.pause(guest)
        connection.close(plans)
        assert {connection.where(each).where for each in plans} == {Where.PLACEHOLDER}
        connection.open(plans[0], Side.TARGET)
        connection.open(plans[1], Side.SOURCE)
        connection.resume(plans)
        # In place source and target have one name; which it is was remembered in QEMU.
        assert [connection.where(each).where for each in plans] == [Where.TARGET, Where.SOURCE]
        here.must_be_clean()
        written = {disk: report.writes for disk, report in here.machine.reports().items()}
        here.machine.stop()
        assert {connection.where(each).where for each in plans} == {Where.GONE}
        here.machine.start()
        here.must_be_clean()
        found = here.machine.reports()
        assert all(found[disk].found > written[disk] - 2 * 64 for disk in written)


@pytest.mark.parametrize("kind", ["raw", "leaf-iothread", "drive"])
def test_a_guest_that_somebody_continues_too_early_stops_and_loses_nothing(
    host: Any, pools: "tuple[str, str]", kind: str
) -> None:
    with host(kind) as here:
        connection, guest = here.connection, here.guest()
        (plan,) = here.plans(pools[1])
        connection.prepare([plan])
        connection.pause(guest)
        connection.close([plan])
        here.copy(plan.source, plan.target)
        with QmpSocket(here.machine.qmp, timeout=30) as somebody:
            somebody.execute("cont")
        wait(lambda: here.guest().status == "io-error")
        wrong = sum(report.wrong for report in here.machine.reports().values())
        assert wrong == 0
        connection.open(plan, Side.TARGET)
        assert connection.resume([plan])
        here.machine.wait_writes(200)
        assert [report.wrong for report in here.machine.reports().values()] == [0]


def is_stopped(pid: int) -> bool:
    """Whether every thread of the process is stopped, which takes a moment after the signal."""
    stats = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return {stat.rpartition(")")[2].split()[0] for stat in stats} == {"T"}


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Killed(Exception):
    """The agent was killed."""


class Mortal:
    """A monitor whose user is killed before or after its nth command that changes something."""

    def __init__(self, monitor: QmpSocket, number: int, after: bool) -> None:
        self._monitor, self._left, self._after = monitor, number, after

    def execute(self, command: str, arguments: "Optional[dict[str, Any]]" = None) -> Any:
        changes = not command.startswith(("query-", "x-debug-"))
        self._left -= changes
        if changes and self._left == 0 and not self._after:
            raise Killed
        answer = self._monitor.execute(command, arguments)
        if changes and self._left == 0:
            raise Killed
        return answer


@pytest.mark.parametrize("kind", ["raw", "leaf-iothread"])
def test_an_exchange_is_completed_from_wherever_it_was_left(
    host: Any, pools: "tuple[str, str]", kind: str
) -> None:
    with host(kind) as here:
        number, after, killed = 1, False, True
        while killed:
            there = pools[0] if here.guest().disks[0].location.pool == pools[1] else pools[1]
            killed = move(here, there, number, after)
            here.must_be_clean(20)
            number, after = number + after, not after
        assert number > 5


def move(here: Host, pool: str, number: int, after: bool) -> bool:
    """Move the disk; return whether the agent was killed, and another one had to complete it."""
    connection, killed = here.connection, False
    (plan,) = here.plans(pool)
    with QmpSocket(here.machine.qmp, timeout=30) as monitor:
        mortal = Mortal(monitor, number, after)
        try:
            exchanging.prepare(mortal, plan)
            mortal.execute("stop")
            exchanging.close(mortal, plan)
            here.copy(plan.source, plan.target)
            exchanging.open_image(mortal, plan, Side.TARGET, plan.target)
        except Killed:
            killed = True
    found = connection.where(plan).where
    connection.pause(here.guest())
    if found is not Where.TARGET:
        connection.close([plan])
        here.copy(plan.source, plan.target)
    connection.open(plan, Side.TARGET)
    assert connection.where(plan).where is Where.TARGET
    assert connection.resume([plan])
    connection.tidy([plan])
    return killed


def test_what_is_in_the_way_in_a_real_qemu(host: Any) -> None:
    with host("raw") as here:
        connection, guest = here.connection, here.guest()

        def others(*commands: "tuple[str, dict[str, Any]]") -> "list[str]":
            with QmpSocket(here.machine.qmp, timeout=30) as somebody:
                for command, arguments in commands:
                    somebody.execute(command, arguments)
            return list(connection.obstacles(here.guest(), guest.disks))

        backup = {"job-id": "b", "device": "disk0-raw", "target": "sink", "sync": "full"}
        sink = {"driver": "null-co", "node-name": "sink", "size": SIZE}
        (found,) = others(("block-dirty-bitmap-add", {"node": "disk0", "name": "daily"}))
        assert "dirty bitmaps" in found
        drop = ("block-dirty-bitmap-remove", {"node": "disk0", "name": "daily"})
        found = others(drop, ("blockdev-add", sink), ("blockdev-backup", {**backup, "speed": 1}))
        assert any("a job backup (b)" in sentence for sentence in found)
        with QmpSocket(here.machine.qmp, timeout=30) as somebody:
            somebody.execute("job-cancel", {"id": "b"})
        wait(lambda: others() == [])
        slow = ("migrate-set-parameters", {"max-bandwidth": 4096})
        found = others(slow, ("migrate", {"uri": "exec:cat > /dev/null"}))
        assert any("being migrated to another host" in sentence for sentence in found)
        with QmpSocket(here.machine.qmp, timeout=30) as somebody:
            somebody.execute("migrate_cancel")
        wait(lambda: others() == [])
        server = {"addr": {"type": "unix", "data": {"path": f"{here.machine.folder}/nbd.sock"}}}
        export = {"type": "nbd", "id": "e", "node-name": "disk0-raw", "writable": False}
        found = others(("nbd-server-start", server), ("block-export-add", export))
        assert any("exports the node disk0-raw" in sentence for sentence in found)


def test_a_qemu_that_hangs_costs_a_bounded_time(host: Any) -> None:
    with host("raw") as here:
        guest = here.guest()
        os.kill(guest.pid, signal.SIGSTOP)
        try:
            wait(lambda: is_stopped(guest.pid))
            hasty = PlainGuests(folders=[str(here.machine.folder)], timeout=1)
            found = hasty.guests()
            assert found.guests == ()
            assert "does not greet" in found.failures[0].reason
            with pytest.raises(NoAnswer):
                hasty.pause(guest)
        finally:
            os.kill(guest.pid, signal.SIGCONT)
        here.must_be_clean()
