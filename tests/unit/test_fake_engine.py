"""The engine over the fake cluster: what it does from end to end, in simulated time."""

from dataclasses import replace
from errno import EBUSY, EPERM, ETIMEDOUT

import pytest

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.plan import Definition, Listed
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.rounds import hidden_name
from rbdmigrate.model.states import Goal
from rbdmigrate.model.verification import Verify
from tests.fakes.cluster import BLOCK, Fault
from tests.fakes.errors import timed_out
from tests.fakes.world import ManagerLost, World, block, spec
from tests.unit.builders import migration

CONTENT = {"": {0: b"one", 2: b"two"}}


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


def everything(world):
    return world.names("hdd"), world.names("nvme")


def test_an_image_is_prepared_executed_and_committed(world):
    world.prepare("hdd/a", "nvme/a")
    assert everything(world) == ([], ["a"])
    assert world.content("nvme/a") == CONTENT
    world.do("execute", "nvme/a")
    world.wait_state("nvme/a", "executed")
    assert world.do("commit", "nvme/a")["state"] == "committed"
    assert everything(world) == ([], ["a"])
    assert world.content("nvme/a") == CONTENT
    assert world.wait_until_quiet()
    assert world.records() == {}


def test_the_sources_name_stands_for_its_migration_while_no_other_goes_there(world):
    world.prepare("hdd/a", "nvme/a")
    assert world.do("get", "hdd/a")["target"] == "nvme/a"
    with pytest.raises(MigrationError) as refused:
        world.do("retry", "hdd/a")
    assert str(refused.value).startswith("The migration to nvme/a has not failed")
    world.do("execute", "hdd/a")
    world.wait_state("nvme/a", "executed")
    world.do("commit", "hdd/a")
    assert world.wait_until_quiet()
    assert world.do("get", "hdd/a")["state"] == "committed"
    with pytest.raises(MigrationError) as refused:
        world.do("abort", "hdd/a")
    assert "The migration of hdd/a to nvme/a is over" in str(refused.value)
    with pytest.raises(MigrationError) as refused:
        world.do("get", "hdd/b")
    assert str(refused.value).startswith("There is no migration to or from hdd/b;")
    world.prepare("nvme/a", "hdd/a")
    world.do("abort", "hdd/a")
    assert world.wait_until_quiet()
    assert world.do("get", "hdd/a")["state"] == "aborted"


def test_a_check_tells_of_both_methods_and_recommends_one(world):
    ends = spec("hdd/a"), spec("nvme/a")
    found = world.call(lambda: world.engine.new_migrations.check(*ends, LayoutOptions()))
    assert found["ok"]
    assert found["method"] == "live"
    chosen = [(m["method"], m["ok"], m["recommended"], m["code"]) for m in found["methods"]]
    assert chosen == [("warm", True, True, ""), ("live", True, False, "")]


def test_a_check_knows_the_migrations_that_no_header_shows(world):
    def codes(source, target):
        ends = spec(source), spec(target)
        found = world.call(lambda: world.engine.new_migrations.check(*ends, LayoutOptions()))
        return [finding["code"] for finding in found["findings"]]

    world.create_image("hdd/b", CONTENT[""])
    assert codes("hdd/a", "nvme/a") == []
    source, target = (find_place(world, image) for image in ("hdd/a", "nvme/a"))
    rests = migration(source=source, target=target, paused=True)
    tracked = world.call(lambda: world.engine._registry.create(rests))
    assert codes("hdd/a", "nvme/b") == ["SOURCE_MIGRATING"]
    assert codes("hdd/b", "nvme/a") == ["TARGET_EXISTS"]
    assert codes("nvme/a", "nvme/b") == ["SOURCE_IS_TARGET"]
    assert codes("hdd/b", "nvme/b") == []
    hidden = f"nvme/{hidden_name(rests.id)}"
    world.create_image(hidden, CONTENT[""])
    made = replace(find_place(world, hidden), image="a")
    world.call(lambda: world.engine._registry.update(tracked, lambda m: replace(m, target=made)))
    assert codes(hidden, "nvme/b") == ["SOURCE_IS_TARGET"]


def find_place(world, image):
    """The place of an image, with the id that it has if it exists."""
    pool, name = image.split("/")
    stored = world.cluster.pool_named(pool)
    ident = stored.objects.get(("", f"rbd_id.{name}"))
    return Place(pool, "", name, stored.ident, "" if ident is None else ident.data[4:].decode())


def test_an_abort_gives_the_source_back(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    world.wait_state("nvme/a", "executed")
    assert world.do("abort", "nvme/a")["state"] == "aborted"
    assert everything(world) == (["a"], [])
    assert world.content("hdd/a") == CONTENT


def test_a_verification_can_be_repeated_any_number_of_times(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.VERIFIED, verify=Verify.FULL)
    world.wait_state("nvme/a", "verified")
    for _ in range(5):
        world.do("verify", "nvme/a", mode=Verify.FULL)
        world.wait_state("nvme/a", "verified")
        assert world.wait_until_quiet()


def test_a_run_verifies_and_waits_for_its_soak_time_before_it_commits(world):
    day = 86400.0
    world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, verify=Verify.FULL, soak=7 * day)
    world.wait_state("nvme/a", "verified")
    world.jump_ahead(6.9 * day)
    assert world.do("get", "nvme/a")["state"] == "verified"
    world.jump_ahead(0.2 * day)
    world.wait_state("nvme/a", "committed")
    assert everything(world) == ([], ["a"])


@pytest.mark.parametrize("verify", [Verify.SAMPLE, Verify.FULL])
def test_a_commit_before_the_comparison_compares_and_then_commits(world, verify):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, verify=verify)
    world.wait_state("nvme/a", "executed")
    world.do("commit", "nvme/a")
    world.wait_state("nvme/a", "committed")
    ended = world.do("get", "nvme/a")
    assert (ended["verification"]["outcome"], ended["verification"]["mode"]) == ("passed", verify)
    assert everything(world) == ([], ["a"])


def test_a_commit_that_finds_a_difference_fails_and_commits_nothing(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    report = world.wait_state("nvme/a", "executed")
    world.do("change", "nvme/a", changes=Changes(verify=Verify.FULL))
    pool = world.cluster.pool_named("nvme")
    pool.objects[("", f"rbd_header.{report['target_image_id']}")].header.blocks[2] = block(b"no")
    with pytest.raises(MigrationError, match="differs"):
        world.do("commit", "nvme/a")
    assert world.do("get", "nvme/a")["state"] == "failed"
    world.do("abort", "nvme/a", force=True)
    world.wait_state("nvme/a", "aborted")
    assert everything(world) == (["a"], [])


def test_a_verification_finds_lost_data_and_nothing_is_committed(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    report = world.wait_state("nvme/a", "executed")
    ident = report["target_image_id"]
    pool = world.cluster.pool_named("nvme")
    pool.objects[("", f"rbd_header.{ident}")].header.blocks[2] = block(b"wrong")
    world.do("change", "nvme/a", changes=Changes(goal=Goal.COMMITTED, verify=Verify.FULL))
    assert "differs" in world.wait_state("nvme/a", "failed")["failure"]["message"]
    with pytest.raises(MigrationError, match="differs"):
        world.do("commit", "nvme/a")
    assert world.names("nvme") == ["a"]


def test_a_paused_migration_does_nothing_until_it_is_resumed(world):
    world.prepare("hdd/a", "nvme/a")
    world.do("pause", "nvme/a")
    world.do("execute", "nvme/a")
    world.run(60.0)
    assert world.do("get", "nvme/a")["state"] == "prepared"
    world.do("resume", "nvme/a")
    world.wait_state("nvme/a", "executed")


def test_what_a_client_writes_during_the_copy_is_on_the_target(world):
    world.prepare("hdd/a", "nvme/a")
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), 3 * BLOCK)
        world.do("execute", "nvme/a")
        world.wait_state("nvme/a", "executed")
        image.write(block(b"newer"), 0)
    world.do("commit", "nvme/a")
    assert world.content("nvme/a") == {"": {0: b"newer", 2: b"two", 3: b"new"}}


def test_an_abort_is_refused_when_a_client_wrote_and_loses_no_write_when_forced(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    world.wait_state("nvme/a", "executed")
    with world.client().open("nvme/a") as image:
        image.write(block(b"new"), BLOCK)
        with pytest.raises(MigrationError) as refused:
            world.do("abort", "nvme/a", force=True)
        assert refused.value.errno == EBUSY
    with pytest.raises(MigrationError) as refused:
        world.do("abort", "nvme/a")
    assert refused.value.errno == EPERM
    world.do("abort", "nvme/a", force=True)
    world.wait_state("nvme/a", "aborted")
    assert world.content("hdd/a") == {"": {0: b"one", 1: b"new", 2: b"two"}}


def test_a_source_in_use_is_not_prepared_and_stays_as_it_is(world):
    with world.client().open("hdd/a") as image:
        image.write(block(b"more"), BLOCK)
        with pytest.raises(MigrationError, match="open for writing"):
            world.prepare("hdd/a", "nvme/a")
        assert world.records() == {}
    assert everything(world) == (["a"], [])


def test_another_manager_carries_on_where_the_first_was_killed(world):
    world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, verify=Verify.FULL)
    world.failover()
    world.wait_state("nvme/a", "committed")
    assert world.content("nvme/a") == CONTENT


@pytest.mark.parametrize("operations", range(0, 160, 8))
def test_a_manager_that_is_killed_at_any_operation_loses_nothing(world, operations):
    world.kill_manager_after(operations)
    try:
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        world.run(5.0)
    except (MigrationError, ManagerLost):
        pass  # nobody heard the answer
    world.forget_kills()
    world.failover()
    assert world.wait_until_quiet()
    if everything(world) == (["a"], []):  # it was killed before the record was there
        assert world.records() == {}
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        assert world.wait_until_quiet()
    assert everything(world) == ([], ["a"])
    assert world.content("nvme/a") == CONTENT


@pytest.mark.parametrize("operations", range(0, 60, 4))
def test_a_worker_that_is_killed_at_any_operation_of_a_prepare_loses_nothing(world, operations):
    world.kill_worker_after(operations)
    world.retry(lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED))
    world.wait_state("nvme/a", "executed")
    world.forget_kills()
    assert world.content("nvme/a") == CONTENT
    world.do("abort", "nvme/a", force=True)
    assert world.wait_until_quiet()
    assert everything(world) == (["a"], [])
    assert world.content("hdd/a") == CONTENT


@pytest.mark.parametrize("operations", range(0, 33, 3))
def test_a_worker_that_is_killed_while_it_undoes_a_prepare_is_followed_by_another(
    world, operations
):
    """The prepare is cut off after the target was linked, and so is what undoes it."""
    with world.client("rbd").open("hdd/a") as image:
        image.create_snap("one")
    world.cluster.log.append(
        lambda kind, **about: kind == "prepared" and world.kill_worker_after(0)
    )
    world.cluster.log.append(
        lambda kind, **about: kind == "abort" and world.kill_worker_after(operations)
    )
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED)
    world.run(20.0)
    world.cluster.log.clear()
    world.forget_kills()
    world.wait_state("nvme/a", "executed", seconds=10.0)
    assert world.content("nvme/a") == {**CONTENT, "one": CONTENT[""]}


@pytest.mark.parametrize("operations", range(0, 45, 3))
def test_a_worker_that_is_killed_at_any_operation_of_a_commit_completes_it(world, operations):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, verify=Verify.FULL)
    world.wait_state("nvme/a", "executed")
    world.kill_worker_after(operations)
    world.retry(lambda: world.do("commit", "nvme/a", force=True))
    world.wait_state("nvme/a", "committed")
    assert world.wait_until_quiet()
    assert everything(world) == ([], ["a"])
    assert world.content("nvme/a") == CONTENT
    left = {oid for _, oid in world.cluster.pool_named("hdd").objects}
    assert left == {"rbd_directory", "rbd_trash"}


@pytest.mark.parametrize("operations", range(0, 60, 4))
def test_a_worker_that_is_killed_at_any_operation_of_an_abort_completes_it(world, operations):
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, verify=Verify.FULL)
    world.wait_state("nvme/a", "executed")
    world.kill_worker_after(operations)
    world.retry(lambda: world.do("abort", "nvme/a", force=True))
    world.wait_state("nvme/a", "aborted")
    assert world.wait_until_quiet()
    assert everything(world) == (["a"], [])
    assert world.content("hdd/a") == CONTENT


def test_a_manager_that_wakes_up_after_it_was_replaced_writes_nothing(world):
    world.prepare("hdd/a", "nvme/a")
    former = world.manager
    world.failover(kill=False)
    assert world.wait_until_quiet()
    before = world.cluster.snapshot()
    world.simulation.thaw(former.process)
    world.run(5.0)
    with former.acting(), pytest.raises(MigrationError):
        former.engine.migrations.execute(spec("nvme/a"))
    assert world.cluster.snapshot() == before
    assert former.engine.ended.is_set()


def test_a_worker_that_was_blocklisted_and_waits_instead_of_failing_is_replaced(world):
    world.prepare("hdd/a", "nvme/a")
    frozen = []

    def freeze(client, oid, write):
        if not frozen and client.process in world.workers():
            frozen.append(client.process)
            world.simulation.freeze(client.process)

    world.cluster.before.append(freeze)
    world.do("execute", "nvme/a")
    world.run(30.0)
    (worker,) = frozen
    assert worker.alive, "nobody shut it out: it may be slow"
    for address in world.record("nvme/a").intent.actor.addresses:
        world.cluster.blocklist[address] = world.simulation.now + 3600.0
    for _ in range(1200):
        if world.record("nvme/a").failure is not None:
            break
        world.run(0.05)
    assert not worker.alive
    assert "the copying client was blocklisted" in world.record("nvme/a").failure.message
    world.wait_state("nvme/a", "executed")
    assert world.content("nvme/a") == CONTENT


def test_a_plan_migrates_its_images(world):
    world.create_image("hdd/b", {1: b"b"})
    images = tuple(Listed(spec(f"hdd/{name}"), spec(f"nvme/{name}")) for name in "ab")
    definition = Definition("move", images=images, policy=Policy(goal=Goal.COMMITTED))
    world.call(lambda: world.engine.plans.create(definition))
    world.call(lambda: world.engine.plans.begin("move"))
    assert world.wait_until_quiet()
    assert world.call(lambda: world.engine.plans.get("move"))["state"] == "done"
    assert everything(world) == ([], ["a", "b"])


def plan_of(world, wait=None):
    """A plan of two waves with an image each, whose first image is ``hdd/a``."""
    world.create_image("hdd/b", {1: b"b"})
    images = tuple(Listed(spec(f"hdd/{name}"), spec(f"nvme/{name}")) for name in "ab")
    policy = Policy(goal=Goal.COMMITTED)
    definition = Definition("move", images=images, policy=policy, wave=1, wait=wait)
    world.call(lambda: world.engine.plans.create(definition))
    world.call(lambda: world.engine.plans.begin("move"))


def plan_phases(world):
    report = world.call(lambda: world.engine.plans.get("move"))
    return [item["phase"] for item in report["items"]], report["state"]


def test_an_image_in_use_does_not_keep_the_next_wave_waiting_for_longer_than_the_plan_says(world):
    with world.client().open("hdd/a"):
        plan_of(world, wait=60.0)
        world.run(30.0)
        assert plan_phases(world) == (["waiting", "queued"], "running")
        world.run(60.0)
        assert plan_phases(world) == (["waiting", "done"], "running")
        world.failover()
        world.run(10.0)
        assert plan_phases(world) == (["waiting", "done"], "running")
    world.run(60.0)
    assert plan_phases(world) == (["done", "done"], "done")
    assert everything(world) == ([], ["a", "b"])


def test_an_image_in_use_that_is_skipped_stays_and_the_plan_goes_on(world):
    with world.client().open("hdd/a"):
        plan_of(world)
        world.run(30.0)
        world.call(lambda: world.engine.plans.skip("move", "hdd/a"))
        world.run(30.0)
        assert plan_phases(world) == (["skipped", "done"], "done")
    world.run(30.0)
    assert everything(world) == (["a"], ["b"])


def test_a_pool_that_does_not_answer_for_a_while_holds_a_migration_up_and_no_more(world):
    world.prepare("hdd/a", "nvme/a")
    world.cluster.faults.append(
        Fault(lambda client, pool, oid, write: pool.name == "nvme", timed_out, times=6, delay=15.0)
    )
    with pytest.raises(MigrationError) as refused:
        world.do("execute", "nvme/a")
    assert refused.value.errno == ETIMEDOUT
    world.run(120.0)
    world.do("execute", "nvme/a")
    world.wait_state("nvme/a", "executed")


def test_a_step_does_not_begin_while_librbd_would_wait_for_a_silent_pool(world):
    world.cluster.create_pool("cold")
    silent = Fault(lambda client, pool, oid, write: pool.name == "cold", timed_out, times=1 << 30)
    world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, verify=Verify.FULL)
    world.wait_state("nvme/a", "executed")
    world.create_image("hdd/b", CONTENT[""])
    world.cluster.faults.append(silent)
    report = world.prepare("hdd/b", "nvme/b", verify=Verify.FULL)
    assert report["state"] == "queued"
    assert "A pool does not answer (cold)" in report["hold"]["message"]
    assert world.names("hdd") == ["b"]
    assert world.do("commit", "nvme/a", force=True)["state"] == "committed"
    world.cluster.faults.remove(silent)
    world.wait_state("nvme/b", "prepared")


def test_a_prepare_that_is_interrupted_answers_when_its_next_attempt_is_over(world):
    world.kill_worker_after(25)  # operations: after those of preflight
    answer = world.prepare("hdd/a", "nvme/a")
    assert [entry["state"] for entry in answer["timeline"]].count("preparing") == 2, answer
    assert answer["state"] == "prepared"
