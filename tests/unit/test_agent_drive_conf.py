"""Settings of Ceph in the file name of ``-drive``: the disk gets a configuration file with them."""

import json
import os

import pytest

from rbdmigrate_agent.guests.errors import GuestError
from rbdmigrate_agent.guests.model import ImageLocation
from rbdmigrate_agent.guests.plain_qemu import PlainGuests
from tests.unit.qmp_server import MIB, proc_of
from tests.unit.test_agent_guests import DEVICE, TARGET, OldQemu

MONITORS = "mon_host=10.0.0.1\\;[fd00\\:\\:1]\\:6789"
SOURCE = ImageLocation("hdd", "", "vm")


@pytest.fixture
def proxmox(tmp_path):
    """A QEMU as Proxmox VE starts it; returns it with a function that connects."""
    conf = tmp_path / "ceph.conf"
    conf.write_text("[global]\nfsid = x\n", encoding="utf-8")
    file = f"file=rbd:hdd/vm:conf={conf}:id=vm:keyring=/k.keyring:{MONITORS}"
    words = ["-drive", f"{file},format=raw,if=none,id=old"]
    with OldQemu(tmp_path / "vm.qmp", {"hdd/vm": 4 * MIB}) as qemu:
        qemu.add_disk(DEVICE, "#block1", "hdd/vm", "#block2")
        proc = proc_of(tmp_path / "proc", ["qemu", *words])

        def connect(confs):
            return PlainGuests(folders=[str(tmp_path)], timeout=10, proc=proc, confs=confs)

        yield qemu, connect


def planned(connection):
    (guest,) = connection.guests().guests
    assert guest.disks[0].fixed == ""
    return connection.plan(guest, guest.disks[0], TARGET)


def test_the_file_has_the_settings_and_what_the_disk_used(proxmox, tmp_path):
    qemu, connect = proxmox
    plan = planned(connect(tmp_path / "confs"))
    (path,) = tmp_path.glob("confs/*")
    assert json.loads(plan.leaf_options)["conf"] == str(path)
    assert path.read_text(encoding="utf-8") == (
        "[global]\nfsid = x\n\n[client.vm]\nkeyring = /k.keyring\n"
        "mon_host = 10.0.0.1,[fd00::1]:6789\n"
    )
    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, os.geteuid())
    assert qemu.changes == ["blockdev-add", "blockdev-del"]  # the trial


def test_the_file_goes_when_the_exchange_is_over(proxmox, tmp_path):
    _, connect = proxmox
    connection = connect(tmp_path / "confs")
    plan = planned(connection)
    connection.tidy([plan])
    assert list(tmp_path.glob("confs/*")) == []
    connection.tidy([plan])


def test_settings_that_do_not_work_are_found_before_the_pause(proxmox, tmp_path):
    qemu, connect = proxmox
    connection = connect(tmp_path / "confs")
    qemu.images.clear()
    with pytest.raises(GuestError, match="hdd/vm cannot be opened with the options"):
        planned(connection)


def test_a_trial_that_was_cut_short_is_removed(proxmox, tmp_path):
    qemu, connect = proxmox
    connection = connect(tmp_path / "confs")
    qemu.die_at = (1, "after")
    with pytest.raises(GuestError):
        planned(connection)
    qemu.die_at = None
    planned(connection)
    assert not [name for name in qemu.nodes if name.endswith("-try")]


def test_without_a_place_for_the_file_nothing_is_planned(proxmox, tmp_path):
    _, connect = proxmox
    with pytest.raises(GuestError, match="--state"):
        planned(connect(None))
    (tmp_path / "file").touch()
    with pytest.raises(GuestError, match="cannot be written"):
        planned(connect(tmp_path / "file"))
