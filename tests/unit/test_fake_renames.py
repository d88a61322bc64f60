"""Images are renamed, and their names given to others, while a migration waits for its turn."""

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import Goal
from tests.fakes.world import World

A, B = {"": {0: b"a"}}, {"": {0: b"b"}}


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", A[""])
        made.create_image("hdd/b", B[""])
        yield made


def swap(world, pool):
    """Images a and b of a pool get each other's names."""
    client = world.client()
    for old, new in (("a", "aside"), ("b", "a"), ("aside", "b")):
        client.rbd("mv", f"{pool}/{old}", f"{pool}/{new}")


def test_a_waiting_prepare_follows_its_source(world):
    world.set(max_steps=0)
    world.prepare("hdd/a", "nvme/x")
    swap(world, "hdd")
    world.set(max_steps=2)
    report = world.wait_state("nvme/x", "prepared")
    assert report["source"] == "hdd/b"
    assert world.content("nvme/x") == A
    assert world.names("hdd") == ["a"]
    assert world.content("hdd/a") == B


def test_a_source_with_a_record_is_not_migrated_again_by_its_new_name(world):
    world.set(max_steps=0)
    world.prepare("hdd/a", "nvme/x")
    swap(world, "hdd")
    with pytest.raises(MigrationError, match="The source hdd/a is already migrating, to nvme/x"):
        world.prepare("hdd/b", "nvme/y")
    world.set(max_steps=2)
    world.wait_state("nvme/x", "prepared")
    assert world.content("nvme/x") == A
    assert world.engine.problems() == []


@pytest.mark.parametrize("command", ["commit", "abort"])
def test_a_waiting_commit_or_abort_follows_its_target(world, command):
    for name in "ab":
        world.prepare(f"hdd/{name}", f"nvme/{name}", goal=Goal.EXECUTED)
        world.wait_state(f"nvme/{name}", "executed")
    world.set(max_steps=0)
    world.do(command, "nvme/a")
    swap(world, "nvme")
    world.set(max_steps=2)
    assert world.wait_until_quiet()
    report = world.do("get", "nvme/a")
    assert (report["source"], report["state"]) == ("hdd/b", "executed")
    assert world.content("nvme/a") == B
    if command == "commit":
        assert world.content("nvme/b") == A
        assert world.names("hdd") == []
    else:
        assert world.names("nvme") == ["a"]
        assert world.content("hdd/a") == A


def test_a_renamed_target_is_executed_and_committed(world):
    world.prepare("hdd/a", "nvme/a")
    world.client().rbd("mv", "nvme/a", "nvme/renamed")
    world.do("execute", "nvme/a")
    world.run(40.0)
    assert world.do("get", "nvme/renamed")["state"] == "executed"
    world.do("commit", "nvme/renamed")
    assert world.content("nvme/renamed") == A


@pytest.mark.parametrize("command", ["execute", "commit", "abort"])
def test_names_that_are_exchanged_right_before_the_worker_acts_are_noticed(world, command):
    """The engine has looked, and the worker has its job: it compares the ids once more."""
    goal = Goal.PREPARED if command == "execute" else Goal.EXECUTED
    for name in "ab":
        world.prepare(f"hdd/{name}", f"nvme/{name}", goal=goal)
        world.wait_state(f"nvme/{name}", goal.value)
    swapped = []

    def before(client, oid, write):
        """At the worker's first read of the name."""
        if oid == "rbd_id.a" and client.process in world.workers() and not swapped:
            swapped.append(oid)
            swap(world, "nvme")

    world.cluster.before.append(before)
    world.do(command, "nvme/a")
    assert world.wait_until_quiet()
    assert swapped, "the worker did not look"
    other = world.do("get", "nvme/a")
    assert (other["source"], other["state"]) == ("hdd/b", goal.value)
    assert world.content("nvme/a") == B
    assert world.names("nvme") == (["a"] if command == "abort" else ["a", "b"])


def test_a_source_that_loses_its_name_in_the_middle_of_a_prepare_is_found_again(world):
    swapped = []

    def before(client, oid, write):
        """At librbd's own read of the name: the worker has compared the ids already."""
        if oid != "rbd_id.a" or client.process not in world.workers():
            return
        swapped.append(oid)
        if len(swapped) == 2:
            swap(world, "hdd")

    world.cluster.before.append(before)
    world.retry(lambda: world.prepare("hdd/a", "nvme/x"))
    assert world.wait_until_quiet()
    assert len(swapped) > 1
    assert world.do("get", "nvme/x")["source"] == "hdd/b"
    assert world.content("nvme/x") == A
    assert world.content("hdd/a") == B
