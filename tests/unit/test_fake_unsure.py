"""Over the fake cluster: what an answer says holds, also when the pool's own answer was lost."""

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import Goal
from tests.fakes.cluster import Fault
from tests.fakes.errors import timed_out
from tests.fakes.world import ManagerLost, World

CONTENT = {"": {0: b"one", 2: b"two"}}
DONE = pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


def lose_answer(world, number, *, done):
    """The answer to the manager's write ``number`` (0: the next) of records is lost."""
    left = [number]

    def matches(client, pool, oid, write):
        if not write or oid != "rbd_migration" or client.process is not world.manager.process:
            return False
        left[0] -= 1
        return left[0] == -1

    world.cluster.faults.append(Fault(matches, timed_out, after=done, delay=15.0))


@DONE
@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize("failover", [True, False])
def test_a_request_comes_to_what_was_answered(world, number, done, failover):
    """Whichever write it is: an error is the end of it, a success is carried out."""
    lose_answer(world, number, done=done)
    try:
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        answered = "success"
    except MigrationError:
        answered = "error"
    if failover:
        world.failover()
    world.run(60.0)
    assert world.wait_until_quiet()
    assert world.records() == {}
    assert world.content("nvme/a" if answered == "success" else "hdd/a") == CONTENT
    assert world.names("hdd") == ([] if answered == "success" else ["a"])


def test_a_pool_that_refuses_writes_at_once_is_asked_a_few_times_a_minute(world):
    """An error that comes quickly is no reason to try again and again."""
    world.prepare("hdd/a", "nvme/a")
    world.wait_state("nvme/a", "prepared")
    world.set(max_steps=0)
    world.do("execute", "nvme/a")
    refused = Fault(lambda client, pool, oid, write: write and oid == "rbd_migration", times=1000)
    world.cluster.faults = [refused]
    world.set(max_steps=2)
    world.run(60.0)
    assert 5 <= 1000 - refused.times <= 40
    world.cluster.faults = []
    world.wait_state("nvme/a", "executed")


@DONE
def test_an_order_that_was_answered_with_an_error_is_taken_back(world, done):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    world.wait_state("nvme/a", "executed")
    assert world.wait_until_quiet()
    lose_answer(world, 0, done=done)
    with pytest.raises(MigrationError):
        world.do("commit", "nvme/a")
    world.run(60.0)  # the pool answers again, and what it has is what the manager knows
    assert world.record("nvme/a").goal is Goal.EXECUTED
    world.failover()
    assert world.wait_until_quiet()
    assert world.do("get", "nvme/a")["state"] == "executed"


@pytest.mark.parametrize("operations", range(0, 24, 2))
def test_a_request_whose_manager_was_lost_before_it_answered_may_be_repeated(world, operations):
    world.set(max_steps=0)  # it waits for a place, so nothing but its record is there
    world.kill_manager_after(operations)
    answered = False
    try:
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        answered = True
    except ManagerLost:
        pass  # nobody heard the answer
    world.forget_kills()
    world.failover()
    world.run(5.0)
    assert bool(world.records()) is answered
    world.set(max_steps=2)
    if not answered:
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
    assert world.wait_until_quiet()
    assert world.content("nvme/a") == CONTENT
    assert world.names("hdd") == []
