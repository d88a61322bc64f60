"""An abort is decided on again right before it begins: over the fake cluster, in simulated time."""

from errno import EBUSY, EPERM

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Definition, Listed
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from tests.fakes.cluster import BLOCK
from tests.fakes.world import World, block, spec

OBJECTS = 4


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", {0: b"one", 2: b"two"}, objects=OBJECTS)
        yield made


def executed(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    world.wait_state("nvme/a", "executed")


def snapshot(image):
    image.create_snap("backup")


def metadata(image):
    image.metadata_set("owner", "somebody")


CHANGES = {
    "a write": lambda image: image.write(block(b"new"), BLOCK),
    "a snapshot": snapshot,
    "a resize": lambda image: image.resize((OBJECTS + 1) * BLOCK),
    "metadata": metadata,
}
BY_HEADER = ("a snapshot", "a resize", "metadata")  # which leave other traces than the version


def assert_not_aborted(world, goal="executed", target="nvme/a"):
    """The migration is back at its former goal, is paused, and says what to do."""
    report = world.do("get", target)
    assert (report["goal"], report["paused"]) == (goal, True)
    assert report["hold"]["reason"] == "operator"
    assert f"abort {target} --force" in report["hold"]["message"]
    assert world.names("nvme") == [target.split("/")[1]]
    return report


def refused(world, force=False):
    with pytest.raises(MigrationError) as refusal:
        world.do("abort", "nvme/a", force=force)
    return refusal.value


@pytest.mark.parametrize("change", CHANGES)
def test_an_abort_that_waited_is_not_begun_when_a_client_came_in_between(world, change):
    executed(world)
    world.set(max_steps=0)
    world.do("abort", "nvme/a")
    with world.client().open("nvme/a") as image:
        CHANGES[change](image)
    before = world.content("nvme/a")
    world.set(max_steps=2)
    assert world.wait_until_quiet()
    report = assert_not_aborted(world)
    assert report["state"] == "executed"
    assert world.content("nvme/a") == before
    assert refused(world).errno == EPERM, "it is no better later"
    world.do("resume", "nvme/a")
    assert world.do("get", "nvme/a")["hold"] is None
    world.do("abort", "nvme/a", force=True)
    world.wait_state("nvme/a", "aborted")


def test_an_abort_that_waited_is_not_begun_while_a_client_has_the_target_open(world):
    executed(world)
    world.set(max_steps=0)
    world.do("abort", "nvme/a", force=True)
    with world.client().open("nvme/a"):  # without writing: nothing but its watch shows it
        world.set(max_steps=2)
        assert world.wait_until_quiet()
        report = world.do("get", "nvme/a")
        assert (report["goal"], report["hold"]["reason"]) == ("executed", "operator")
        assert "open for writing" in report["hold"]["message"]
    world.do("abort", "nvme/a")
    world.wait_state("nvme/a", "aborted")


@pytest.mark.parametrize("force", [False, True])
def test_the_command_that_waits_for_the_abort_answers_with_the_refusal(world, force):
    executed(world)
    if force:
        with world.client().open("nvme/a") as image:
            image.write(block(b"old"), BLOCK)
    world.set(max_steps=0)

    def client():
        world.run(1.0)
        with world.client().open("nvme/a") as image:
            image.write(block(b"new"), BLOCK)
        world.set(max_steps=2)

    answer, _ = world.together(lambda: world.do("abort", "nvme/a", force=force), client)
    assert isinstance(answer, MigrationError), answer
    assert answer.errno == EPERM
    assert "was not begun" in str(answer)
    assert_not_aborted(world)


def test_a_migration_whose_abort_was_not_begun_is_not_committed_by_itself(world):
    day = 86400.0
    world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, soak=day)
    world.wait_state("nvme/a", "executed")
    world.set(max_steps=0)
    world.do("abort", "nvme/a")
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), BLOCK)
    world.set(max_steps=2)
    world.jump_ahead(2 * day)
    assert_not_aborted(world, "committed")
    assert world.names("hdd") == [], "the source is still there, in the trash"
    world.do("commit", "nvme/a")
    world.wait_state("nvme/a", "committed")


def test_force_covers_what_clients_did_before_it_and_nothing_later(world):
    executed(world)
    with world.client().open("nvme/a") as image:
        image.write(block(b"known"), BLOCK)
    world.set(max_steps=0)
    world.do("abort", "nvme/a", force=True)
    with world.client().open("nvme/a") as image:
        image.write(block(b"later"), 3 * BLOCK)
    world.set(max_steps=2)
    assert world.wait_until_quiet()
    report = assert_not_aborted(world)
    assert "after its abort was forced" in report["hold"]["message"]
    world.do("abort", "nvme/a", force=True)
    world.wait_state("nvme/a", "aborted")


@pytest.mark.parametrize("change", CHANGES)
def test_another_manager_does_not_begin_an_abort_either_when_a_client_came(world, change):
    executed(world)
    world.set(max_steps=0)
    world.do("abort", "nvme/a")
    with world.client().open("nvme/a") as image:
        CHANGES[change](image)
    world.failover()
    world.set(max_steps=2)
    assert world.wait_until_quiet()
    assert_not_aborted(world)


def test_another_manager_begins_an_abort_that_nothing_speaks_against(world):
    executed(world)
    world.set(max_steps=0)
    world.do("abort", "nvme/a")
    world.failover()
    world.set(max_steps=2)
    world.wait_state("nvme/a", "aborted")


@pytest.mark.parametrize("change", BY_HEADER)
@pytest.mark.parametrize("when", ["during", "after"])
def test_what_a_client_has_our_copy_do_is_not_lost_by_an_abort(world, change, when):
    """While our worker holds the exclusive lock it makes the snapshots and resizes of others."""
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, rate=BLOCK)
    world.wait_state("nvme/a", "executing")
    world.run(1.0)
    with world.client().open("nvme/a") as image:
        CHANGES[change](image)
    if when == "after":
        world.wait_state("nvme/a", "executed")
    refusal = refused(world)
    assert refusal.errno == EPERM
    assert "changed since it was prepared" in str(refusal)
    world.wait_state("nvme/a", "executed")
    assert world.names("nvme") == ["a"]


def test_a_client_that_wrote_during_the_copy_and_is_gone_before_anybody_looks_is_noticed(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, rate=BLOCK)
    world.wait_state("nvme/a", "executing")
    world.run(1.0)
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), 3 * BLOCK)
    world.wait_state("nvme/a", "executed")
    assert refused(world).errno == EPERM


def test_a_copy_is_aborted_when_nothing_speaks_against_it(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, rate=BLOCK)
    world.wait_state("nvme/a", "executing")
    world.run(1.0)
    world.do("abort", "nvme/a")
    world.wait_state("nvme/a", "aborted")
    assert world.names("hdd") == ["a"]


def test_a_paused_copy_is_aborted_unless_a_client_wrote_after_the_pause(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, rate=BLOCK)
    world.wait_state("nvme/a", "executing")
    world.run(1.0)
    world.do("pause", "nvme/a")
    m = world.record("nvme/a")
    assert not m.touched
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), 3 * BLOCK)
    assert refused(world).errno == EPERM
    world.do("abort", "nvme/a", force=True)
    world.wait_state("nvme/a", "aborted")
    assert world.content("hdd/a") == {"": {0: b"one", 2: b"two", 3: b"new"}}


def test_a_plan_that_is_cancelled_does_not_abort_what_clients_changed(world):
    images = (Listed(spec("hdd/a"), spec("nvme/a")),)
    definition = Definition(
        "move", images=images, policy=Policy(goal=Goal.COMMITTED, soak=1e6), method=Method.LIVE
    )
    world.call(lambda: world.engine.plans.create(definition))
    world.call(lambda: world.engine.plans.begin("move"))
    assert world.wait_until_quiet()
    world.wait_state("nvme/a", "executed")
    world.set(max_steps=0)
    world.call(lambda: world.engine.plans.cancel("move"))
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), BLOCK)
    world.set(max_steps=2)
    assert world.wait_until_quiet()
    assert_not_aborted(world, "committed")
    assert world.call(lambda: world.engine.plans.get("move"))["state"] == "cancelled"


def test_a_forced_cancel_of_a_plan_covers_nothing_that_clients_do_later(world):
    images = (Listed(spec("hdd/a"), spec("nvme/a")),)
    definition = Definition(
        "move", images=images, policy=Policy(goal=Goal.COMMITTED, soak=1e6), method=Method.LIVE
    )
    world.call(lambda: world.engine.plans.create(definition))
    world.call(lambda: world.engine.plans.begin("move"))
    assert world.wait_until_quiet()
    world.wait_state("nvme/a", "executed")
    world.set(max_steps=0)
    world.call(lambda: world.engine.plans.cancel("move", force=True))
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), BLOCK)
    world.set(max_steps=2)
    assert world.wait_until_quiet()
    assert_not_aborted(world, "committed")


def test_a_client_that_writes_as_soon_as_the_prepare_has_answered_is_noticed(world):
    world.prepare("hdd/a", "nvme/a")
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), BLOCK)
    assert refused(world).errno == EPERM
    assert world.content("nvme/a") == {"": {0: b"one", 1: b"new", 2: b"two"}}


@pytest.mark.parametrize("operations", range(0, 60, 5))
def test_an_abort_that_is_cut_off_anywhere_ends_as_an_abort_or_waits_for_a_decision(
    world, operations
):
    """A worker that is killed before the abort began left nothing that a client could have done."""
    executed(world)
    world.kill_worker_after(operations)
    world.retry(lambda: world.do("abort", "nvme/a"))
    world.wait_state("nvme/a", "aborted")
    assert world.content("hdd/a") == {"": {0: b"one", 2: b"two"}}


def test_an_open_target_is_refused_with_its_user(world):
    executed(world)
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), BLOCK)
        assert refused(world, force=True).errno == EBUSY


@pytest.mark.parametrize("seed", range(6))
def test_a_prepare_right_after_an_abort_waits_until_its_record_is_put_away(seed):
    with World(seed=seed) as world:
        world.create_image("hdd/a", {0: b"one"})
        for _ in range(4):
            assert world.prepare("hdd/a", "nvme/a")["state"] == "prepared"
            assert world.do("abort", "nvme/a")["state"] == "aborted"
        assert world.prepare("hdd/a", "nvme/other")["state"] == "prepared"
