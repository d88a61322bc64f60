"""What the agent finds of the guests of its host, and what it says is in the way."""

import json
import socket

import pytest

from rbdmigrate_agent.guests import command_line, names, option_text
from rbdmigrate_agent.guests.errors import GuestError
from rbdmigrate_agent.guests.graph import look
from rbdmigrate_agent.guests.model import GuestDisk, ImageLocation
from rbdmigrate_agent.guests.plain_qemu import PlainGuests
from tests.unit.qmp_server import MIB, FakeQemu, proc_of

DEVICE = "/machine/peripheral/d0/virtio-backend"
TARGET = ImageLocation("nvme", "", "vm")


class Bench:
    """A fake QEMU with one disk that has a node above its leaf."""

    def __init__(self, folder, qemu, words):
        self.folder, self.qemu, self.words = folder, qemu, words

    def connection(self, timeout=10.0):
        proc = self.folder / "proc"
        if not proc.exists():
            proc_of(proc, ["qemu", *self.words])
        return PlainGuests(folders=[str(self.folder)], timeout=timeout, proc=proc)

    def guest(self):
        found = self.connection().guests()
        assert found.failures == ()
        return found.guests[0]

    def disk(self):
        return self.guest().disks[0]

    def obstacles(self):
        guest = self.guest()
        return self.connection().obstacles(guest, guest.disks)


@pytest.fixture
def bench(tmp_path):
    with FakeQemu(tmp_path / "vm.qmp", {"hdd/vm": 4 * MIB, "nvme/vm": 4 * MIB}) as qemu:
        yield Bench(tmp_path, qemu, qemu.add_disk(DEVICE, "disk", "hdd/vm", "fmt"))


# -- the inventory


def test_a_guest_and_its_disk(bench):
    guest = bench.guest()
    assert (guest.name, guest.uuid, guest.status) == ("web-17", bench.qemu.uuid, "running")
    assert guest.connection == str(bench.qemu.path)
    assert guest.on_placeholder == ()
    assert guest.disks == (
        GuestDisk(
            DEVICE, "disk", "fmt", ImageLocation("hdd", "", "vm"), "vm", "/c.conf", 4 * MIB, False
        ),
    )
    assert bench.obstacles() == []


def test_one_guest_that_cannot_be_asked_does_not_hide_the_others(bench, tmp_path):
    dead, strange, deaf = (tmp_path / f"{name}.qmp" for name in ("dead", "strange", "deaf"))
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(dead))
    with FakeQemu(strange, {}) as odd, FakeQemu(deaf, {}) as silent:
        odd.answers["query-block"] = {"no": "list"}
        silent.silent = ("query-block",)
        bench.connection()
        found = bench.connection(timeout=0.5).guests()
    assert [guest.name for guest in found.guests] == ["web-17"]
    reasons = {each.connection.rpartition("/")[2]: each.reason for each in found.failures}
    assert reasons["dead.qmp"].startswith("No QEMU listens")
    assert "not a list" in reasons["strange.qmp"]
    assert "did not answer within 0.5 s" in reasons["deaf.qmp"]


def test_a_socket_whose_only_place_is_taken(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "busy.qmp"))
        listener.listen(1)
        (failure,) = PlainGuests(folders=[str(tmp_path)], timeout=0.3).guests().failures
    assert "another client uses this socket" in failure.reason


def test_what_listens_may_be_something_else(tmp_path):
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "x-qmp"))
        listener.listen(1)

        def greet():
            client, _ = listener.accept()
            client.sendall(b"hello\n")
            client.close()

        thread = threading.Thread(target=greet)
        thread.start()
        (failure,) = PlainGuests(folders=[str(tmp_path)], timeout=5).guests().failures
        thread.join(10)
    assert "does not speak QMP" in failure.reason


def test_folders_and_patterns(bench, tmp_path):
    (tmp_path / "a-qmp-file").write_text("not a socket")
    for folder, guests in {"": 1, "*.qmp": 1, "*.sock": 0, "vm.qmp": 1}.items():
        proc = bench.connection()._proc
        found = PlainGuests(folders=[str(tmp_path / folder)], timeout=5, proc=proc).guests()
        assert (len(found.guests), found.failures) == (guests, ())
    (failure,) = PlainGuests(folders=["/nowhere/at/all"]).guests().failures
    assert "there is no folder" in failure.reason


# -- disks that cannot be exchanged


def changed(words, node, **options):
    """The arguments with other options for a node."""

    def change(word):
        found = json.loads(word)
        return json.dumps({**found, **options}) if found["node-name"] == node else word

    return [change(word) if word.startswith("{") else word for word in words]


def test_a_disk_that_was_plugged_in_later(bench):
    bench.words = bench.words[2:]
    assert "added after the guest's start" in bench.disk().fixed
    guest = bench.guest()
    with pytest.raises(GuestError, match="added after"):
        bench.connection().plan(guest, guest.disks[0], TARGET)


@pytest.mark.parametrize(
    ("node", "options", "reason"),
    [
        ("disk", {"conf": "/other.conf"}, "added after"),
        ("disk", {"user": "somebody"}, "added after"),
        ("disk", {"server": [{"host": "a", "port": "1"}]}, "added after"),
        ("disk", {"driver": "file"}, "added after"),
        ("disk", {"snapshot": "s"}, "a snapshot"),
        ("fmt", {"driver": "qcow2"}, "added after"),
    ],
)
def test_options_that_are_not_those_of_the_start(bench, node, options, reason):
    bench.words = changed(bench.words, node, **options)
    assert reason in bench.disk().fixed


def test_a_node_above_that_is_not_supported(bench):
    bench.qemu.nodes["fmt"]["driver"] = "qcow2"
    assert "a node qcow2" in bench.disk().fixed


def test_a_device_that_is_not_supported(bench):
    bench.qemu.type = "nvme"
    assert "Its device is nvme" in bench.disk().fixed


def test_an_image_that_no_device_uses(bench):
    bench.qemu.devices.clear()
    assert bench.disk().device == ""
    assert "no device" in bench.disk().fixed.lower()


def test_an_image_whose_options_qemu_does_not_show(bench):
    bench.qemu._filename = lambda options: "json:{ cut"
    assert "does not show the options" in bench.disk().fixed
    assert str(bench.disk().location) == ""


@pytest.mark.parametrize("user", [("", "block-backend"), ("job0", "block-job")])
def test_something_that_uses_the_leaf_too(bench, user):
    bench.qemu.extra_users.append((*user, "disk"))
    assert bench.disk().fixed
    assert any("more than one" in sentence for sentence in bench.obstacles())


# -- obstacles


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("jobs", [{"id": "b1", "type": "backup", "status": "running"}], "a job backup (b1)"),
        ("exports", [{"id": "e", "type": "nbd", "node-name": "fmt"}], "exports the node fmt"),
        ("migration", {"status": "active"}, "migrated to another host (active)"),
        ("status", "io-error", "neither running nor paused but io-error"),
        ("bitmaps", {"disk": ["daily"]}, "dirty bitmaps"),
        ("jobs", [{"id": "b1"}], None),
    ],
)
def test_obstacles(bench, name, value, sentence):
    setattr(bench.qemu, name, value)
    if sentence is None:
        with pytest.raises(GuestError, match="as expected"):
            bench.obstacles()
        return
    (found,) = bench.obstacles()
    assert sentence in found
    assert found.endswith(".")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jobs", [{"id": "b1", "type": "backup", "status": "concluded"}]),
        ("exports", [{"id": "e", "type": "nbd", "node-name": "cdrom"}]),
        ("migration", {"status": "completed"}),
        ("status", "paused"),
        ("bitmaps", {"fmt": ["daily"]}),  # the node above stays, and its bitmaps with it
    ],
)
def test_what_is_no_obstacle(bench, name, value):
    setattr(bench.qemu, name, value)
    assert bench.obstacles() == []


def test_a_disk_that_changed_since_it_was_found(bench):
    guest = bench.guest()
    bench.qemu.nodes["disk"]["image"] = "other"
    assert any(
        "changed meanwhile" in each for each in bench.connection().obstacles(guest, guest.disks)
    )
    with pytest.raises(GuestError, match="changed meanwhile"):
        bench.connection().plan(guest, guest.disks[0], TARGET)


# -- texts


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('{"driver": "rbd", "node-name": "a"}', {"driver": "rbd", "node-name": "a"}),
        (
            "driver=rbd,node-name=a,pool=p,,q,cache.direct=on,server.0.host=h,server.0.port=1",
            {
                "driver": "rbd",
                "node-name": "a",
                "pool": "p,q",
                "cache": {"direct": True},
                "server": [{"host": "h", "port": "1"}],
            },
        ),
        ("raw,node-name=b,file=a", {"driver": "raw", "node-name": "b", "file": "a"}),
        ("{broken", None),
        ("[1]", {"driver": "[1]"}),
        ("a=1,a.b=2", None),
    ],
)
def test_options_of_block_nodes(text, options):
    assert option_text.block_options(text) == options


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rbd:p/i", (ImageLocation("p", "", "i"), {})),
        ("rbd:p/n/i:id=u:conf=/c", (ImageLocation("p", "n", "i"), {"id": "u", "conf": "/c"})),
        (
            "rbd:p/i:mon_host=a\\:1\\;b",
            (ImageLocation("p", "", "i"), {"mon_host": "a:1;b"}),
        ),
        ("rbd:p/i@snap", None),
        ("rbd:i", None),
        ("/dev/sda", None),
    ],
)
def test_names_of_images_for_the_old_option(text, found):
    assert option_text.rbd_name(text) == found


def test_flat_options():
    nested = {"server": [{"host": "h", "port": 1}], "cache": {"direct": True, "no-flush": False}}
    assert option_text.flat(nested) == {
        "server.0.host": "h", "server.0.port": "1", "cache.direct": "on", "cache.no-flush": "off",
    }  # fmt: skip


def test_a_command_line():
    inner = {"driver": "rbd", "node-name": "in"}
    outer = {"driver": "raw", "node-name": "out", "file": inner}
    words = ["qemu", "-blockdev", json.dumps(outer), "-drive", "file=rbd:p/i,id=d,cache=none"]
    line = command_line.parse([*words, "-blockdev", "{broken", "-drive", "file=x"])
    assert line.nodes == {"in": inner, "out": outer}
    assert line.drives == {"d": {"file": "rbd:p/i", "id": "d", "cache": "none"}}


def test_names_are_short_enough_for_qemu():
    made = [
        names.placeholder("u" * 36, DEVICE),
        names.leaf("u" * 36, DEVICE),
        names.marker("u" * 36, DEVICE, "12345678"),
    ]
    assert all(len(name) <= 31 for name in made)
    assert names.is_placeholder(made[0])
    assert not names.is_placeholder(made[1])
    assert names.is_marker_of(made[2], "u" * 36, DEVICE)


def test_an_answer_of_the_wrong_shape_is_a_sentence():
    class Odd:
        def execute(self, command, arguments=None):
            return [1, 2]

    with pytest.raises(GuestError, match="not understood"):
        look(Odd())


# -- the option -drive


class OldQemu(FakeQemu):
    """A QEMU whose disk came from ``-drive``: nodes without names, and a named backend."""

    def query_block(self, arguments):
        return [{**each, "device": "old"} for each in super().query_block(arguments)]

    def debug_query_block_graph(self, arguments):
        found = super().debug_query_block_graph(arguments)
        for node in found["nodes"]:
            if node["type"] == "block-backend":
                node["name"] = "old"
        return found


@pytest.mark.parametrize(
    ("drive", "reason"),
    [
        ("file=rbd:hdd/vm:id=vm:conf=/c.conf,format=raw,if=none,id=old,cache=none", ""),
        ("file=rbd:hdd/vm:id=vm:key=AQ==,format=raw,if=none,id=old", "(key)"),
        ('file=rbd:hdd/vm:id=vm:log_file="/l",format=raw,if=none,id=old', "(log_file)"),
        ("file=rbd:hdd/vm,format=qcow2,if=none,id=old", "not understood"),
        ("file.driver=rbd,file.pool=hdd,id=old", "not understood"),
        ("file=rbd:hdd/vm,copy-on-read=on,id=old", "(copy-on-read)"),
        ("file=rbd:hdd/vm,id=other", "not on QEMU's command line"),
    ],
)
def test_disks_of_the_old_option(tmp_path, drive, reason):
    with OldQemu(tmp_path / "vm.qmp", {"hdd/vm": 4 * MIB}) as qemu:
        qemu.add_disk(DEVICE, "#block1", "hdd/vm", "#block2")
        bench = Bench(tmp_path, qemu, ["-drive", drive])
        disk = bench.disk()
        assert disk.above == ""
        if reason:
            assert reason in disk.fixed
            return
        plan = bench.connection().plan(bench.guest(), disk, TARGET)
        assert json.loads(plan.leaf_options)["user"] == "vm"
        assert plan.opens_as == names.leaf(qemu.uuid, DEVICE)
