"""The wait for the latest OSD map has an end."""

import threading
import time
from errno import ETIMEDOUT

import pytest

from rbdmigrate.cluster import osdmap
from rbdmigrate.model.errors import MigrationError


class Client:
    """A RADOS client whose monitors answer when a test lets them, or fail."""

    def __init__(self, error=None):
        self.quorum = threading.Event()
        self.asked = 0
        self._error = error

    def get_instance_id(self):
        return id(self)

    def wait_for_latest_osdmap(self):
        self.asked += 1
        assert self.quorum.wait(30)
        if self._error is not None:
            raise self._error


@pytest.fixture
def silent():
    client = Client()
    yield client
    client.quorum.set()


def test_without_a_quorum_it_ends_after_the_timeout(silent):
    begun = time.monotonic()
    with pytest.raises(MigrationError, match="ceph health") as caught:
        osdmap.wait_for_latest_osdmap(silent, 0.2)
    assert caught.value.errno == ETIMEDOUT
    assert time.monotonic() - begun < 5


def test_a_long_outage_leaves_a_bounded_number_of_threads(silent):
    for _ in range(80):
        with pytest.raises(MigrationError):
            osdmap.wait_for_latest_osdmap(silent, 0.01)
    waiting = [t for t in threading.enumerate() if t.name == "rbdmigrate-osdmap"]
    assert len(waiting) <= 64
    silent.quorum.set()
    for thread in waiting:
        thread.join(10)
    osdmap.wait_for_latest_osdmap(silent, 10)  # there is room again


def test_what_rados_fails_with_is_what_the_caller_sees():
    client = Client(error=ZeroDivisionError("of rados"))
    client.quorum.set()
    with pytest.raises(ZeroDivisionError, match="of rados"):
        osdmap.wait_for_latest_osdmap(client, 10)
