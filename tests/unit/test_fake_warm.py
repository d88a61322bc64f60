"""The method ``warm`` over the fake cluster: from the prepare to the commit, and back."""

import contextlib
import os
from dataclasses import replace
from errno import EAGAIN, EBUSY, EEXIST, EINVAL, EPERM

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.plan import Definition, Listed, Plan, PlanState
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify
from tests.fakes import names as image_names
from tests.fakes import rbd_module
from tests.fakes.cluster import BLOCK
from tests.fakes.images import Spot
from tests.fakes.world import ManagerLost, World, block, spec

WARM = Method.WARM
CONTENT = {"": {0: b"one", 2: b"two"}}
_MAPS = 61  # layering, exclusive-lock, object-map, fast-diff, deep-flatten
LATER = {"": {0: b"one", 1: b"later", 2: b"two"}}


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


def names(world):
    return world.names("hdd"), world.names("nvme")


def in_step(world, target="nvme/a"):
    world.prepare("hdd/a", target, method=WARM, verify=Verify.NONE)
    world.do("execute", target)
    return world.wait_state(target, "executed")


def refused(number, world, command, **options):
    with pytest.raises(MigrationError) as error:
        world.do(command, "nvme/a", **options)
    assert error.value.errno == number
    return str(error.value)


def write_later(world, image):
    with world.client("writer").open(image) as opened:
        opened.write(block(b"later"), BLOCK)


def test_clients_go_on_until_the_cutover_and_the_commit_removes_the_source(world):
    with world.client().open("hdd/a") as image:
        report = in_step(world)
        assert names(world) == (["a"], [f"rbd_migration.{report['id']}"])
        assert (report["method"], report["clients"], report["rounds"]["count"]) == (
            "warm", "source", 1,
        )  # fmt: skip
        image.write(block(b"later"), BLOCK)
        assert "cutover nvme/a" in refused(EAGAIN, world, "commit")
        assert "open for writing" in refused(EBUSY, world, "cutover")
        report = world.do("get", "nvme/a")
        assert (report["state"], report["goal"]) == ("executed", "executed")
        assert report["hold"]["reason"] == "operator"
    assert names(world)[0] == ["a"]
    report = world.do("cutover", "nvme/a")
    assert (report["state"], report["clients"], report["hold"]) == ("cut-over", "target", None)
    assert report["rounds"]["pause_seconds"] == 0.5
    assert names(world) == ([], ["a"])
    assert world.content("nvme/a") == LATER
    assert world.do("cutover", "nvme/a")["state"] == "cut-over"
    assert world.do("commit", "nvme/a")["state"] == "committed"
    assert names(world) == ([], ["a"])
    assert world.content("nvme/a") == LATER
    assert world.wait_until_quiet()
    assert world.records() == {}


def test_it_is_compared_before_the_commit(world):
    world.prepare("hdd/a", "nvme/a", method=WARM, goal=Goal.COMMITTED, verify=Verify.FULL)
    report = world.wait_state("nvme/a", "committed")
    states = [entry["state"] for entry in report["timeline"]]
    assert states == [
        "queued", "preparing", "prepared", "executing", "executed", "cutting-over", "cut-over",
        "verifying", "verified", "committing", "committed",
    ]  # fmt: skip
    assert report["verification"]["outcome"] == "passed"


def test_an_abort_before_the_cutover_needs_no_force_although_clients_write(world):
    with world.client().open("hdd/a") as image:
        in_step(world)
        image.write(block(b"later"), BLOCK)
        assert world.do("abort", "nvme/a")["state"] == "aborted"
    assert names(world) == (["a"], [])
    assert world.content("hdd/a") == LATER


@pytest.mark.parametrize("target", ["nvme/a", "hdd/a"])
def test_an_abort_after_the_cutover_takes_the_writes_along(world, target):
    world.create_image("nvme/other")  # so that there is a directory
    if target == "hdd/a":
        report = world.call(
            lambda: world.engine.new_migrations.prepare(
                spec("hdd/a"), None, LayoutOptions(), force=True, method=WARM
            )
        )
        world.do("execute", target)
        world.wait_state(target, "executed")
        assert report["source"] == report["target"] == "hdd/a"
    else:
        in_step(world, target)
    world.do("cutover", target)
    write_later(world, target)
    assert world.do("abort", target)["state"] == "aborted"
    assert world.content("hdd/a") == LATER
    assert names(world) == (["a"], ["other"])
    assert world.wait_until_quiet()


def test_an_abort_while_clients_use_the_target_is_refused_and_it_stays_cut_over(world):
    in_step(world)
    world.do("cutover", "nvme/a")
    with world.client().open("nvme/a"):
        refused(EBUSY, world, "abort")
    report = world.do("get", "nvme/a")
    assert (report["state"], report["goal"], report["paused"]) == ("cut-over", "cut-over", True)


def test_rounds_refresh_the_copy_without_a_word_and_become_rarer(world):
    before = in_step(world)
    for _ in range(40):
        world.run(60.0)
    report = world.do("get", "nvme/a")
    assert report["timeline"] == before["timeline"]
    assert 3 <= report["rounds"]["count"] <= 8  # after 1, 3, 7, 15 and 31 minutes
    write_later(world, "hdd/a")
    world.do("execute", "nvme/a")
    world.run(5.0)
    report = world.do("get", "nvme/a")
    assert (report["rounds"]["bytes"], report["state"]) == (BLOCK, "executed")
    assert report["bytes_copied"] == report["bytes_total"] == before["bytes_total"]
    asked = [entry["message"] for entry in report["timeline"][len(before["timeline"]) :]]
    assert asked == ["execute"]


@pytest.mark.parametrize("after", range(18))
def test_rounds_follow_also_when_the_worker_of_the_first_ones_was_lost(world, after):
    world.prepare("hdd/a", "nvme/a", method=WARM, verify=Verify.NONE)
    world.kill_worker_after(after)
    world.do("execute", "nvme/a")
    world.wait_state("nvme/a", "executed")
    world.forget_kills()
    world.run(5.0)
    assert world.do("get", "nvme/a")["rounds"]["count"] >= 1
    write_later(world, "hdd/a")
    world.do("execute", "nvme/a")
    world.run(5.0)
    assert world.do("get", "nvme/a")["rounds"]["bytes"] == BLOCK


def test_a_paused_one_is_not_refreshed(world):
    before = in_step(world)
    world.do("pause", "nvme/a")
    world.run(300.0)
    assert world.do("get", "nvme/a")["rounds"]["count"] == before["rounds"]["count"]


def test_it_says_what_an_abort_after_the_cutover_would_copy_back(world):
    ioctx = world.client().ioctx("hdd/b")
    rbd_module.RBD().create(ioctx, "b", 4 * BLOCK, features=_MAPS)
    for image in ("a", "b"):
        world.prepare(f"hdd/{image}", f"nvme/{image}", method=WARM, verify=Verify.NONE)
        assert world.do("get", f"nvme/{image}")["way_back"] is None
        world.do("execute", f"nvme/{image}")
        world.wait_state(f"nvme/{image}", "executed")
        world.do("cutover", f"nvme/{image}")
    world.run(10.0)
    assert world.do("get", "nvme/b")["way_back"]["bytes"] == 0
    with world.client().open("nvme/b") as image:
        image.write(block(b"later"), BLOCK)
        world.run(70.0)
        measured = world.do("get", "nvme/b")["way_back"]
        assert (measured["bytes"], measured["seconds"] < 1) == (BLOCK, True)
    without_maps = world.do("get", "nvme/a")["way_back"]
    assert (without_maps["bytes"], without_maps["seconds"]) == (None, None)
    world.failover()
    world.run(10.0)
    assert world.do("get", "nvme/b")["way_back"]["bytes"] == BLOCK
    assert world.do("abort", "nvme/b")["way_back"] is None


def test_a_run_of_an_image_in_use_is_refused_and_leaves_nothing(world):
    with world.client().open("hdd/a"), pytest.raises(MigrationError) as error:
        world.prepare("hdd/a", "nvme/a", method=WARM, goal=Goal.COMMITTED)
    assert error.value.errno == EBUSY
    assert "prepare --method warm hdd/a nvme/a" in str(error.value)
    assert world.records() == {}


def test_a_client_that_comes_during_a_run_stops_the_cutover(world):
    world.prepare("hdd/a", "nvme/a", method=WARM, verify=Verify.NONE)
    with world.client().open("hdd/a"):
        world.do("change", "nvme/a", changes=Changes(goal=Goal.COMMITTED))
        for _ in range(100):
            report = world.do("get", "nvme/a")
            if report["hold"] and report["hold"]["reason"] == "operator":
                break
            world.run(1.0)
        assert (report["state"], report["goal"]) == ("executed", "committed")
        assert "open for writing" in report["hold"]["message"]
        rounds = report["rounds"]["count"]
        world.run(120.0)
        assert "open for writing" in world.do("get", "nvme/a")["hold"]["message"]
        assert "open for writing" in refused(EBUSY, world, "cutover")
    world.run(200.0)
    report = world.do("get", "nvme/a")
    assert (report["state"], names(world)[0]) == ("executed", ["a"])
    assert report["rounds"]["count"] > rounds  # it is kept fresh
    world.do("cutover", "nvme/a")
    world.wait_state("nvme/a", "committed")
    assert names(world) == ([], ["a"])


def chosen(report):
    return report["method"], report["method_reason"]


def test_a_run_by_the_method_auto_is_warm_and_says_why(world):
    report = world.prepare("hdd/a", "nvme/a", auto=True, goal=Goal.COMMITTED)
    assert chosen(report) == (
        "warm",
        "Clients use the source until the cutover, and the target is an ordinary image.",
    )
    again = world.prepare("hdd/a", "nvme/a", auto=True, goal=Goal.COMMITTED)
    assert (again["id"], chosen(again)) == (report["id"], chosen(report))
    world.wait_state("nvme/a", "committed")
    assert chosen(world.do("get", "nvme/a")) == chosen(report)
    assert names(world) == ([], ["a"])


def test_where_warm_cannot_do_it_auto_is_live_with_the_reason_whatever_comes_later(world):
    guest = world.client()
    rbd_module.RBD().create(guest.ioctx("hdd/b"), "b", BLOCK, features=1 | 4 | 64)  # journaling
    found = world.call(
        lambda: world.engine.new_migrations.check(
            spec("hdd/b"), spec("nvme/b"), LayoutOptions(), auto=True
        )
    )
    assert (found["ok"], found["method"]) == (True, "live")
    assert [m["code"] for m in found["methods"]] == ["WARM_JOURNALING", ""]
    report = world.prepare("hdd/b", "nvme/b", auto=True, goal=Goal.EXECUTED)
    assert report["method"] == "live"
    assert report["method_reason"].startswith("The method warm cannot do it: It has the feature")
    world.failover()
    world.wait_state("nvme/b", "executed")
    assert chosen(world.prepare("hdd/b", "nvme/b", auto=True)) == chosen(report)


def test_a_run_by_auto_of_an_image_in_use_is_refused_with_the_ways_that_there_are(world):
    with world.client().open("hdd/a"), pytest.raises(MigrationError) as error:
        world.prepare("hdd/a", "nvme/a", auto=True, goal=Goal.COMMITTED)
    assert error.value.errno == EBUSY
    assert "add --cutover agent, hook or when-closed" in str(error.value)
    with world.client().open("hdd/a"):
        report = world.prepare("hdd/a", "nvme/a", auto=True, goal=Goal.EXECUTED)
        assert report["method"] == "warm"
        world.wait_state("nvme/a", "executed")


def test_a_client_that_a_copy_cannot_go_along_with_is_waited_for(world):
    guest = world.client()
    rbd_module.RBD().create(guest.ioctx("hdd/b"), "b", BLOCK, features=1)
    world.prepare("hdd/b", "nvme/b", method=WARM)
    with guest.open("hdd/b"):
        world.do("execute", "nvme/b")
        world.run(20.0)
        report = world.do("get", "nvme/b")
        assert report["hold"]["reason"] == "retry"
        assert "open for writing" in report["hold"]["message"]
    world.wait_state("nvme/b", "executed")


def test_another_method_for_the_same_images_is_refused(world):
    world.prepare("hdd/a", "nvme/a", method=WARM)
    with pytest.raises(MigrationError) as error:
        world.prepare("hdd/a", "nvme/a", method=Method.LIVE)
    assert error.value.errno == EEXIST
    assert world.prepare("hdd/a", "nvme/a")["method"] == "warm"


def test_the_goal_cut_over_is_refused_for_other_methods(world):
    with pytest.raises(MigrationError) as error:
        world.prepare("hdd/a", "nvme/a", goal=Goal.CUT_OVER)
    assert error.value.errno == EINVAL
    assert world.records() == {}


def auto_plan(world, **changes):
    """A plan that names no method, with ``hdd/a`` and an image that warm refuses."""
    guest = world.client()
    rbd_module.RBD().create(guest.ioctx("hdd/b"), "b", BLOCK, features=1 | 4 | 64)
    images = tuple(Listed(spec(f"hdd/{name}"), spec(f"nvme/{name}")) for name in "ab")
    policy = Policy(goal=Goal.EXECUTED, verify=Verify.NONE)
    return Definition("move", images=images, policy=policy, **changes)


def of_plan(world, request, *arguments):
    return world.call(lambda: getattr(world.engine.plans, request)(*arguments))


def test_a_plan_without_a_method_chooses_one_for_each_image(world):
    definition = auto_plan(world)
    assert of_plan(world, "create", definition)["method"] == "auto"
    assert of_plan(world, "compare", definition).same
    for _ in range(100):
        found = of_plan(world, "check", "move")
        if found["done"]:
            break
        world.run(1.0)
    assert [item["method"] for item in found["items"]] == ["warm", "live"]
    of_plan(world, "begin", "move")
    world.run(10.0)
    for name, method in (("a", "warm"), ("b", "live")):
        report = world.wait_state(f"nvme/{name}", "executed")
        assert report["method"] == method
        assert report["method_reason"]
    items = of_plan(world, "get", "move")["items"]
    assert [item["method"] for item in items] == ["warm", "live"]


def test_a_plan_of_an_earlier_version_goes_on_with_live(world):
    definition = auto_plan(world)
    plan = Plan(definition, PlanState.DRAFT, 1.0)
    world.call(lambda: world.engine.plans._plan_registry.create(plan))
    assert of_plan(world, "create", definition)["method"] == "live"
    assert of_plan(world, "compare", definition).same
    assert of_plan(world, "apply", replace(definition, wave=1))["method"] == "live"
    of_plan(world, "begin", "move")
    world.run(10.0)
    report = world.wait_state("nvme/a", "executed")
    assert (report["method"], report["method_reason"]) == ("live", None)
    assert of_plan(world, "apply", replace(definition, wave=1, auto=True))["method"] == "auto"
    assert world.do("get", "nvme/a")["method"] == "live"


def plan_of(world):
    """A plan by the method warm, with the images ``hdd/a`` and ``hdd/b``."""
    world.create_image("hdd/b", {1: b"b"})
    images = tuple(Listed(spec(f"hdd/{name}"), spec(f"nvme/{name}")) for name in "ab")
    policy = Policy(goal=Goal.COMMITTED, verify=Verify.NONE)
    definition = Definition("move", images=images, policy=policy, method=WARM)
    world.call(lambda: world.engine.plans.create(definition))
    world.call(lambda: world.engine.plans.begin("move"))


def plan_now(world):
    report = world.call(lambda: world.engine.plans.get("move"))
    return [item["phase"] for item in report["items"]], report["state"], report["method"]


def test_a_plan_moves_its_images_by_the_method_that_it_names(world):
    plan_of(world)
    assert world.wait_until_quiet()
    assert plan_now(world) == (["done", "done"], "done", "warm")
    assert names(world) == ([], ["a", "b"])
    assert world.do("get", "nvme/a")["method"] == "warm"


def test_an_image_of_a_plan_that_a_client_opens_meanwhile_is_not_done_before_its_cutover(world):
    world.set(max_copies=0)
    plan_of(world)
    world.run(10.0)
    assert world.do("get", "nvme/a")["state"] == "prepared"
    with world.client().open("hdd/a"):
        world.set(max_copies=2)
        world.run(30.0)
        assert "open for writing" in world.do("get", "nvme/a")["hold"]["message"]
        assert plan_now(world) == (["running", "done"], "running", "warm")
    world.do("cutover", "nvme/a")
    world.wait_state("nvme/a", "committed")
    assert world.wait_until_quiet()
    assert plan_now(world) == (["done", "done"], "done", "warm")


def lose_source(world):
    """Remove the source with everything, as somebody does who does not mind our snapshots."""
    spot = Spot.of(world.client("vandal").ioctx("hdd/a"))
    image_names.remove(spot, "a", spot.id_of("a"))


def test_where_the_source_is_gone_a_forced_abort_keeps_the_copy_under_the_targets_name(world):
    at = in_step(world)["timeline"][-1]["at"]
    write_later(world, "hdd/a")
    lose_source(world)
    said = refused(EPERM, world, "abort")
    assert f"complete as it was at {at}" in said
    assert "abort nvme/a --force" in said
    assert names(world)[1] != ["a"]
    report = world.do("abort", "nvme/a", force=True)
    assert report["state"] == "aborted"
    assert report["timeline"][-1]["message"] == (
        f"the source was gone; nvme/a is what was copied of it, as it was at {at}"
    )
    assert names(world) == ([], ["a"])
    assert world.content("nvme/a") == CONTENT
    assert world.wait_until_quiet()
    assert world.records() == {}


def test_where_the_source_is_gone_before_a_round_is_complete_a_forced_abort_removes_the_copy(world):
    world.prepare("hdd/a", "nvme/a", method=WARM)
    lose_source(world)
    assert "is not complete" in refused(EPERM, world, "abort")
    assert world.do("abort", "nvme/a", force=True)["state"] == "aborted"
    assert names(world) == ([], [])


def test_a_copy_that_is_left_alone_takes_no_name_from_another_image(world):
    in_step(world)
    lose_source(world)
    world.create_image("nvme/a", {0: b"other"})
    refused(EEXIST, world, "abort", force=True)
    world.client("owner").rbd("mv", "nvme/a", "nvme/other")
    assert world.do("abort", "nvme/a", force=True)["state"] == "aborted"
    assert world.content("nvme/a") == CONTENT
    assert world.content("nvme/other") == {"": {0: b"other"}}


@pytest.mark.parametrize("after", range(1, 22))
@pytest.mark.parametrize("who", ["worker", "manager"])
def test_a_copy_that_is_left_alone_survives_kills_anywhere(world, who, after):
    in_step(world)
    lose_source(world)
    getattr(world, f"kill_{who}_after")(after)
    try:
        world.do("abort", "nvme/a", force=True)
    except ManagerLost:
        world.failover()
    except MigrationError:
        assert who == "worker"
    world.forget_kills()
    if world.record("nvme/a") is not None and world.do("get", "nvme/a")["goal"] != "aborted":
        world.do("abort", "nvme/a", force=True)  # killed before the request was written
    world.wait_state("nvme/a", "aborted")
    assert names(world) == ([], ["a"])
    assert world.content("nvme/a") == CONTENT


@pytest.mark.parametrize("after", range(1, 34))
@pytest.mark.parametrize("who", ["worker", "manager"])
def test_a_cutover_that_is_killed_anywhere_ends_with_one_image_that_has_it_all(world, who, after):
    in_step(world)
    write_later(world, "hdd/a")
    getattr(world, f"kill_{who}_after")(after)
    try:
        world.do("cutover", "nvme/a")
    except ManagerLost:
        world.failover()
    except MigrationError:
        assert who == "worker"
    world.forget_kills()
    world.wait_state("nvme/a", "cut-over", "executed")
    if world.do("get", "nvme/a")["state"] == "executed":  # killed before the request was written
        world.do("cutover", "nvme/a")
        world.wait_state("nvme/a", "cut-over")
    assert names(world) == ([], ["a"])
    assert world.content("nvme/a") == LATER
    # What is compared is the whole content, with what was written since the round before.
    with world.client().open("nvme/a") as image:
        newest = max(image.list_snaps(), key=lambda snapshot: snapshot["id"])
    assert world.record("nvme/a").comparison_snapshot == newest["name"]
    write_later(world, "nvme/a")
    assert world.do("abort", "nvme/a")["state"] == "aborted"
    assert world.content("hdd/a") == LATER


@pytest.mark.parametrize("after", range(1, 30, 2))
def test_an_abort_that_is_killed_anywhere_loses_no_write(world, after):
    in_step(world)
    world.do("cutover", "nvme/a")
    write_later(world, "nvme/a")
    world.kill_worker_after(after)
    with contextlib.suppress(MigrationError):  # of the worker that was lost
        world.do("abort", "nvme/a")
    world.forget_kills()
    world.wait_state("nvme/a", "aborted")
    assert names(world) == (["a"], [])
    assert world.content("hdd/a") == LATER


STEPS = st.one_of(
    st.tuples(st.just("execute")),
    st.tuples(st.just("cutover")),
    st.tuples(st.just("abort")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("pause")),
    st.tuples(st.just("resume")),
    st.tuples(st.just("retry")),
    st.tuples(st.just("prepare")),
    st.tuples(st.just("write"), st.integers(0, 3)),
    st.tuples(st.just("hold open"), st.integers(0, 3)),
    st.tuples(st.just("run"), st.sampled_from([0.3, 3.0, 70.0])),
    st.tuples(st.just("kill_worker_after"), st.integers(0, 40)),
    st.tuples(st.just("kill_manager_after"), st.integers(0, 60)),
)


class Disk:
    """What clients think of as their disk, wherever it lies. Not more than one uses it."""

    def __init__(self, world):
        self.world, self.content, self.open, self.count = world, dict(CONTENT[""]), None, 0

    def close(self):
        if self.open is not None:
            self.open.close()
        self.open = None

    def use(self, number, *, stay):
        """Write an object, with the image that a record says clients use, or was left to them."""
        self.close()
        for name in self._names():
            try:
                self.open = self.world.client("guest").open(name)
                break
            except rbd_module.ImageNotFound:
                continue
        if self.open is None:
            return  # in the middle of a cutover
        self.count += 1
        text = f"write {self.count}".encode()
        self.open.write(block(text), number * BLOCK)
        self.content[number] = text
        if not stay:
            self.close()

    def _names(self):
        m = self.world.record("nvme/a")
        if m is None:
            return ["hdd/a", "nvme/a"]
        return ["nvme/a" if m.cut_over_at is not None else "hdd/a"]


def take(world, disk, step):
    name, *arguments = step
    if name in ("write", "hold open"):
        disk.use(*arguments, stay=name != "write")
    elif name == "run":
        world.run(*arguments)
    elif name.startswith("kill"):
        getattr(world, name)(*arguments)
    elif name == "prepare":
        world.prepare("hdd/a", "nvme/a", method=WARM, verify=Verify.NONE)
    else:
        world.do(name, "nvme/a")


@settings(max_examples=int(os.environ.get("RBD_MIGRATION_SAFETY_EXAMPLES", "60")))
@given(st.integers(0, 9999), st.booleans(), st.lists(STEPS, min_size=4, max_size=20))
def test_whatever_is_asked_for_and_whoever_dies_no_write_is_lost(seed, after, taken):
    with World(seed) as world:
        world.create_image("hdd/a", CONTENT[""])
        disk = Disk(world)
        in_step(world)
        begun = [("cutover",), ("write", 1)] if after else []
        for step in (*begun, *taken):
            with contextlib.suppress(MigrationError, ManagerLost):
                take(world, disk, step)
            if not world.manager.process.alive:
                world.failover()
        disk.close()
        world.forget_kills()
        world.failover()
        world.run(120.0)
        assert not world.engine.problems()
        record = world.record("nvme/a")
        used = names(world)
        if record is None:
            assert used in ((["a"], []), ([], ["a"]))
        image = "nvme/a" if "a" in used[1] else "hdd/a"
        assert world.content(image) == {"": disk.content}, record
