"""Locks of ``rbd lock add``: told apart from the exclusive lock that librbd takes."""

import socket
import struct
from errno import EBUSY

import pytest

from rbdmigrate.cluster.denc import encode_string
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Place
from tests.fakes.loading import load

headers = load().module("cluster.headers")
users = load().module("worker.users")
TARGET = Place("nvme", "", "vm", 2, "10a0")


def structure(payload):
    return struct.pack("<BBI", 1, 1, len(payload)) + payload


class Header:
    """An ioctx where the header has a lock with this tag, held by these clients; no tag: none."""

    def __init__(self, tag, *cookies):
        address = struct.pack("<H", socket.AF_INET) + struct.pack(">H", 0) + bytes([10, 0, 0, 5])
        entity = b"\x01" + structure(struct.pack("<III", 2, 77, 16) + address + bytes(8))
        body = struct.pack("<I", len(cookies))
        for number, cookie in enumerate(cookies, 4711):
            body += structure(struct.pack("<Bq", 8, number) + encode_string(cookie))
            body += structure(struct.pack("<II", 0, 0) + entity + encode_string("of a later field"))
        self.reply = structure(body + b"\x01" + encode_string(tag))

    def execute(self, *_):
        return len(self.reply), self.reply


def test_the_exclusive_lock_of_librbd_is_no_advisory_lock():
    ioctx = Header("internal", "auto 1")
    assert str(headers.lock_holder(ioctx, "10a0")) == "client.4711 at 10.0.0.5:0/77"
    assert headers.advisory_lock(ioctx, "10a0") is None
    users.require_unlocked(ioctx, TARGET)


@pytest.mark.parametrize("tag", ["", "shared by hosts"])
def test_an_advisory_lock_is_named_with_the_command_that_removes_it(tag):
    ioctx = Header(tag, "host 1", "host 2")
    assert headers.lock_holder(ioctx, "10a0") is None
    with pytest.raises(MigrationError) as refused:
        users.require_unlocked(ioctx, TARGET)
    assert refused.value.errno == EBUSY
    assert "`rbd lock rm nvme/vm 'host 1' client.4711`" in str(refused.value)


def test_an_image_without_a_lock_has_none():
    for ioctx in (Header("internal"), Header("")):
        assert headers.lock_holder(ioctx, "10a0") is None
        users.require_unlocked(ioctx, TARGET)
