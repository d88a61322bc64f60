"""The disks of a real guest in QEMU: found, closed, and opened again, while it writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import rados

from qa.devcluster import Cluster
from qa.guest import GuestOptions, Machine, RbdDisk
from qa.workload.images import MIB, opened, place
from rbdmigrate_agent.guests import exchanging
from rbdmigrate_agent.guests.errors import GuestError
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
}


class Host:
    """A host with one guest, and the agent's view of it."""

    def __init__(self, cluster: Cluster, client: rados.Rados, machine: Machine) -> None:
        self.cluster, self.client, self.machine = cluster, client, machine
        self.connection = PlainGuests(folders=[str(machine.folder)], timeout=30)

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
        copied = self.cluster.run(["rbd", "deep", "cp", "--no-progress", str(source), str(target)])
        assert copied is not None

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
    import rbd

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
        assert all((disk.user, disk.conf) == ("admin", str(cluster.conf)) for disk in guest.disks)
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
        connection.tidy(plans)
        # And back again: the options are still known.
        back = here.plans(pools[0])
        connection.pause(here.guest())
        connection.close(back)
        for each in back:
            remove(here.client, str(each.target))
            here.copy(each.source, each.target)
            connection.open(each, Side.TARGET)
        connection.resume(back)
        here.must_be_clean()


def remove(client: rados.Rados, spec: str) -> None:
    import rbd

    with place(client, spec) as ioctx:
        rbd.RBD().remove(ioctx, spec.rsplit("/", maxsplit=1)[-1])


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
        cluster_wait(lambda: here.guest().status == "io-error")
        wrong = sum(report.wrong for report in here.machine.reports().values())
        assert wrong == 0
        connection.open(plan, Side.TARGET)
        assert connection.resume([plan])
        here.machine.wait_writes(200)
        assert [report.wrong for report in here.machine.reports().values()] == [0]


def cluster_wait(condition: Callable[[], bool]) -> None:
    import time

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
        connection = here.connection
        (plan,) = here.plans(pools[1])
        here.copy(plan.source, plan.target)
        remove(here.client, str(plan.target))
        number, after = 1, False
        while move(here, plan, number, after):
            here.must_be_clean(20)
            undo(connection, here, plan)
            here.must_be_clean(20)
            remove(here.client, str(plan.target))
            number, after = (number + after, not after)
        assert number > 5


def move(here: Host, plan: DiskExchange, number: int, after: bool) -> bool:
    """Exchange the disk; whether the agent was killed and another one had to complete it."""
    killed = False
    connection = here.connection
    connection.pause(here.guest())
    with QmpSocket(here.machine.qmp, timeout=30) as monitor:
        mortal = Mortal(monitor, number, after)
        try:
            exchanging.prepare(mortal, plan)
            exchanging.close(mortal, plan)
            here.copy(plan.source, plan.target)
            exchanging.open_image(mortal, plan, Side.TARGET, plan.target)
        except Killed:
            killed = True
    if connection.where(plan).where is not Where.TARGET:
        connection.close([plan])
        with contextlib.suppress(Exception):
            remove(here.client, str(plan.target))
        here.copy(plan.source, plan.target)
        connection.open(plan, Side.TARGET)
    connection.open(plan, Side.TARGET)  # deletes a placeholder that is left
    assert connection.where(plan).where is Where.TARGET
    assert connection.resume([plan])
    return killed


def undo(connection: PlainGuests, here: Host, plan: DiskExchange) -> None:
    connection.pause(here.guest())
    connection.close([plan])
    remove(here.client, str(plan.source))
    here.copy(plan.target, plan.source)
    connection.open(plan, Side.SOURCE)
    assert connection.where(plan).where is Where.SOURCE
    assert connection.resume([plan])
