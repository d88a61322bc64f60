"""Requests to the engine over the fake cluster: accepted ones hold, refused ones change nothing."""

from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN, EBUSY, EEXIST, EINVAL, EPERM
from typing import Any

import pytest

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.plan import Definition, Listed, Rule
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method, State
from rbdmigrate.model.verification import Verify
from tests.fakes.cluster import Fault
from tests.fakes.errors import timed_out
from tests.fakes.world import World, block, spec

DAY = 86400.0
CONTENT = {"": {0: b"one", 2: b"two"}}


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


def executed(world: World, **policy: Any) -> None:
    """hdd/a is copied to nvme/a, and is where it was to go."""
    world.prepare("hdd/a", "nvme/a", **{"goal": Goal.EXECUTED, **policy})
    world.wait_state("nvme/a", "executed")
    assert world.wait_until_quiet()


def change(world: World, **changes: Any) -> Any:
    return world.do("change", "nvme/a", changes=Changes(**changes))


def allow_steps(world: World) -> None:
    """What waits for a place begins now."""
    world.set(max_steps=2)
    world.engine._scheduler.wake()


def start_plan(world: World, name: str, layout: LayoutOptions = LayoutOptions(), **policy: Any):  # noqa: B008 - frozen
    """A plan that moves hdd/a to nvme/a, after its first round."""
    listed = (Listed(spec("hdd/a"), spec("nvme/a")),)
    plan = Definition(
        name, rule=Rule(layout=layout), images=listed, policy=Policy(**policy), method=Method.LIVE
    )
    world.call(lambda: world.engine.plans.create(plan))
    world.call(lambda: world.engine.plans.begin(name))
    world.run(3.0)
    return world.call(lambda: world.engine.plans.get(name))


def refused(errno: int, request: Callable[[], Any]) -> str:
    with pytest.raises(MigrationError) as error:
        request()
    assert error.value.errno == errno
    return str(error.value)


def test_a_run_on_what_is_executed_waits_for_its_soak_time(world):
    executed(world)
    world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, soak=7 * DAY)
    world.run(3.0)
    world.jump_ahead(6.9 * DAY)
    assert world.do("get", "nvme/a")["state"] == "executed"
    world.jump_ahead(0.2 * DAY)
    world.wait_state("nvme/a", "committed")


def test_what_joins_a_plan_is_compared_and_waits_as_the_plan_says(world):
    executed(world)
    start_plan(world, "p", goal=Goal.COMMITTED, verify=Verify.FULL, soak=7 * DAY)
    report = world.wait_state("nvme/a", "verified")
    assert report["plan"] == "p"
    assert report["verification"]["outcome"] == "passed"
    world.jump_ahead(6.9 * DAY)
    assert world.do("get", "nvme/a")["state"] == "verified"
    world.jump_ahead(0.2 * DAY)
    world.wait_state("nvme/a", "committed")


def test_the_policy_of_a_plan_is_not_lowered_for_one_migration(world):
    start_plan(world, "p", goal=Goal.COMMITTED, verify=Verify.FULL, soak=7 * DAY)
    world.wait_state("nvme/a", "verified")
    before = world.records()
    assert "The plan p" in refused(EPERM, lambda: change(world, verify=Verify.NONE))
    assert world.records() == before


class TestRefused:
    """A request that is refused leaves the record as it is, byte by byte."""

    def unchanged(self, world: World, errno: int, request: Callable[[], Any]) -> str:
        assert world.wait_until_quiet()
        stored, kept = world.records(), world.record("nvme/a")
        said = refused(errno, request)
        assert world.records() == stored
        assert world.record("nvme/a") is kept
        assert world.wait_until_quiet()
        assert world.records() == stored
        return said

    def test_by_another_layout(self, world):
        executed(world)
        layout = LayoutOptions(object_size=1 << 16)
        request = lambda: world.engine.new_migrations.prepare(  # noqa: E731
            spec("hdd/a"), spec("nvme/a"), layout, Policy(Goal.COMMITTED)
        )
        said = self.unchanged(world, EEXIST, lambda: world.call(request))
        assert "another layout" in said

    def test_by_another_window(self, world):
        executed(world)
        change(world, window="Sat")
        request = lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, window="Sun")  # noqa: E731
        assert "another window (Sat)" in self.unchanged(world, EEXIST, request)

    def test_by_another_source(self, world):
        world.create_image("hdd/b")
        executed(world)
        request = lambda: world.prepare("hdd/b", "nvme/a", goal=Goal.COMMITTED)  # noqa: E731
        assert "already the target" in self.unchanged(world, EEXIST, request)

    def test_by_a_failure(self, world):
        executed(world)
        ident = world.do("get", "nvme/a")["target_image_id"]
        pool = world.cluster.pool_named("nvme")
        pool.objects[("", f"rbd_header.{ident}")].header.blocks[2] = block(b"wrong")
        change(world, goal=Goal.VERIFIED)
        world.wait_state("nvme/a", "failed")
        request = lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)  # noqa: E731
        assert "failed before" in self.unchanged(world, EINVAL, request)

    def test_by_another_plan(self, world):
        start_plan(world, "first", goal=Goal.EXECUTED)
        executed(world)
        before = world.records()
        second = start_plan(world, "second", goal=Goal.COMMITTED)
        assert "belongs to the plan first" in second["problems"][0]
        assert second["counts"]["failed"] == 1
        assert world.wait_until_quiet()
        assert world.records() == before

    def test_by_the_layout_of_a_plan(self, world):
        executed(world)
        before = world.records()
        plan = start_plan(world, "p", LayoutOptions(object_size=1 << 16), goal=Goal.COMMITTED)
        assert "another layout" in plan["problems"][0]
        assert world.wait_until_quiet()
        assert world.records() == before

    def test_by_an_abort_that_was_accepted_before(self, world):
        executed(world)
        world.set(max_steps=0)
        world.do("commit", "nvme/a")
        world.do("abort", "nvme/a")
        for request in (
            lambda: world.do("commit", "nvme/a", force=True),
            lambda: world.do("pause", "nvme/a"),
            lambda: world.do("execute", "nvme/a"),
            lambda: world.call(lambda: world.engine.migrations.verify(spec("nvme/a"), Verify.FULL)),
            lambda: change(world, goal=Goal.COMMITTED),
            lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED),
        ):
            assert "being aborted" in self.unchanged(world, EBUSY, request)
        world.set(max_steps=2)
        world.wait_state("nvme/a", "aborted")
        assert world.content("hdd/a") == CONTENT


def seeds(count: int) -> Any:
    return pytest.mark.parametrize("seed", range(count))


@seeds(25)
@pytest.mark.parametrize("force", [False, True])
def test_an_abort_during_a_commit_goes_back_or_is_refused(seed, force):
    """Whichever comes first: the answer to the abort says what becomes of the source."""
    with World(seed) as world:
        world.create_image("hdd/a", CONTENT[""])
        executed(world)
        _, answer = world.together(
            lambda: world.do("commit", "nvme/a", force=force),
            lambda: world.do("abort", "nvme/a"),
        )
        assert world.wait_until_quiet()
        if isinstance(answer, Exception):
            assert isinstance(answer, MigrationError)
            assert (world.names("hdd"), world.content("nvme/a")) == ([], CONTENT)
        else:
            assert (world.names("hdd"), world.names("nvme")) == (["a"], [])
            assert world.content("hdd/a") == CONTENT


@seeds(25)
@pytest.mark.parametrize(
    "changes", [{"soak": 7 * DAY}, {"goal": Goal.EXECUTED}, {"verify": Verify.FULL}], ids=str
)
def test_what_is_set_during_a_commit_holds_it_or_is_refused(seed, changes):
    with World(seed) as world:
        world.create_image("hdd/a", CONTENT[""])
        executed(world)
        world.set(max_steps=0)
        world.do("commit", "nvme/a")

        world.run(1.0)
        _, answer = world.together(lambda: allow_steps(world), lambda: change(world, **changes))
        world.run(20.0)
        if isinstance(answer, Exception):
            assert isinstance(answer, MigrationError)
            assert answer.errno in (EINVAL, EAGAIN)
            return
        wanted = {"soak": "executed", "goal": "executed", "verify": "committed"}[
            next(iter(changes))
        ]
        report = world.do("get", "nvme/a")
        assert report["state"] == wanted
        if wanted == "committed":
            assert report["verification"]["outcome"] == "passed"


@seeds(25)
def test_no_act_of_a_plan_begins_after_it_was_paused(seed):
    """A write of the record that is under way at that moment counts as begun before."""
    with World(seed) as world:
        world.create_image("hdd/a", CONTENT[""])
        start_plan(world, "p", goal=Goal.COMMITTED, soak=60.0)
        world.wait_state("nvme/a", "executed")
        world.set(max_steps=0)
        world.run(60.0)

        def pause() -> bool:
            world.call(lambda: world.engine.plans.pause("p"))
            world.run(0.005)  # a write of the record
            record = world.record("nvme/a")
            return record is None or record.state is State.COMMITTING

        _, begun_before = world.together(lambda: allow_steps(world), pause)
        world.run(30.0)
        ended = world.do("get", "nvme/a")["state"]
        assert ended == ("committed" if begun_before else "executed")


@seeds(10)
def test_one_image_that_is_asked_for_twice_at_once_is_one_migration(seed):
    with World(seed) as world:
        world.create_image("hdd/a", CONTENT[""])
        answers = world.together(
            lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, soak=7 * DAY),
            lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.EXECUTED, verify=Verify.FULL),
        )
        assert [answer["id"] for answer in answers] == [answers[0]["id"]] * 2
        report = world.wait_state("nvme/a", "verified")
        assert (report["goal"], report["soak_seconds"]) == ("committed", 7 * DAY)


def test_a_source_that_is_slow_to_look_at_holds_up_no_other_request(world):
    world.create_image("hdd/b", CONTENT[""])
    slow = world.cluster.pool_named("hdd").objects
    ident = next(oid for _, oid in slow if oid.startswith("rbd_header."))
    world.cluster.faults.append(
        Fault(lambda client, pool, oid, write: oid == ident, timed_out, times=1, delay=15.0)
    )
    began = world.simulation.now
    took: list[float] = []

    def other() -> Any:
        report = world.prepare("hdd/b", "nvme/b")
        took.append(world.simulation.now - began)
        return report

    slow_answer, answer = world.together(lambda: world.prepare("hdd/a", "nvme/a"), other)
    assert isinstance(slow_answer, MigrationError)
    assert answer["state"] == "prepared"
    assert took[0] < 10.0


@pytest.mark.parametrize("act", ["create", "apply"])
def test_no_plan_is_made_while_one_of_its_name_may_be_in_a_silent_pool(world, act):
    """It is made when all pools answer, and one that runs is never replaced."""
    listed = (Listed(spec("hdd/a"), spec("nvme/a")),)
    kept = Definition("move", images=listed, policy=Policy(goal=Goal.PREPARED))
    world.call(lambda: world.engine.plans.create(kept))
    silent = Fault(lambda client, pool, oid, write: pool.name == "nvme", timed_out, 1 << 30)
    world.cluster.faults.append(silent)
    world.failover()
    world.run(5.0)
    other = replace(kept, images=(Listed(spec("hdd/a"), spec("hdd/b")),))
    said = refused(EAGAIN, lambda: world.call(lambda: getattr(world.engine.plans, act)(other)))
    assert said == (
        "No plan 'move' is known yet, and not all pools answer; look at `ceph health` and try "
        "again."
    )
    world.cluster.faults.remove(silent)
    refused(
        EEXIST, lambda: world.retry(lambda: world.call(lambda: world.engine.plans.create(other)))
    )
    again = world.call(lambda: world.engine.plans.create(kept))
    assert (again["name"], again["state"]) == ("move", "draft")
