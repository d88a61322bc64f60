"""Hooks over the fake cluster: cutovers that ask them, vetoes, kills and failovers."""

import contextlib
from errno import EAGAIN, EINVAL, EIO, ENOENT, EPERM

import pytest

from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.plan import Definition, Rule, Selector
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify
from tests.fakes.cluster import BLOCK, Fault
from tests.fakes.errors import timed_out
from tests.fakes.hook_server import SECRET, HookServer
from tests.fakes.world import ManagerLost, World, block, spec
from tests.unit.test_fake_unsure import lose_answer

CONTENT = {"": {0: b"one", 2: b"two"}}
LATER = {"": {0: b"one", 1: b"later", 2: b"two"}}
HOOK = CutoverPolicy(CutoverMode.HOOK)
CUTOVER = ["before_cutover", "after_cutover", "cutover_failed"]


@pytest.fixture
def world():
    with World(pools=("hdd", "nvme", "other")) as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


@pytest.fixture
def server(world):
    return HookServer(world)


class Client:
    """A guest that a hook stops and starts."""

    def __init__(self, world, image="hdd/a"):
        self.world, self.image = world, image
        self.client = world.client()
        self.open = self.client.open(image)

    def stop(self):
        if self.open is not None:
            self.open.write(block(b"later"), BLOCK)
            self.open.close()
        self.open = None

    def told(self, hook, event, body):
        """What a hook does that knows this client."""
        if event == "before_cutover":
            self.stop()
        else:
            self.start(body["migration"]["start_on"])
        return 200

    def start(self, image):
        assert self.open is None
        self.image = image
        self.open = self.client.open(image)


def begin(world, source="hdd/a", target="nvme/a", goal=Goal.CUT_OVER, **policy):
    wanted = Policy(goal, verify=Verify.NONE, cutover=HOOK, **policy)
    return world.call(
        lambda: world.engine.new_migrations.prepare(
            spec(source), spec(target), LayoutOptions(), wanted, method=Method.WARM
        )
    )


def wait_events(world, server, *events, hook=None, seconds=60):
    for _ in range(seconds * 4):
        if server.events(hook) == list(events):
            return
        world.run(0.25)
    assert server.events(hook) == list(events)


def hold(world, target="nvme/a"):
    return world.do("get", target)["hold"]


def test_a_hook_stops_the_clients_and_starts_them_on_the_target(world, server):
    client = Client(world)
    server.add()

    def say(hook, event, body):
        if event == "before_cutover":
            assert body["migration"]["leave"] == "hdd/a"
            client.stop()
        elif event == "after_cutover":
            client.start(body["migration"]["start_on"])
        return 200

    server.say = say
    begin(world)
    report = world.wait_state("nvme/a", "cut-over")
    wait_events(world, server, "executed", "before_cutover", "after_cutover")
    assert client.image == "nvme/a"
    assert world.content("nvme/a") == LATER
    assert report["rounds"]["pause_seconds"] > 0
    assert world.engine.hooks.shown()[0].waiting == 0
    client.stop()
    world.do("commit", "nvme/a")
    wait_events(
        world, server, "executed", "before_cutover", "after_cutover", "before_commit", "committed"
    )


def test_a_veto_holds_it_with_its_reason_and_it_is_asked_again(world, server):
    server.add()
    no = [True]
    server.say = lambda hook, event, body: (
        (409, '{"reason": "a backup runs."}', None) if event == "before_cutover" and no else 200
    )
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "executed", "before_cutover", "cutover_failed")
    held = hold(world)
    assert held["reason"] == "hook"
    assert held["message"].startswith("The hook one said no: a backup runs. The cutover is tried")
    no.clear()
    world.run(61.0)
    world.wait_state("nvme/a", "cut-over")
    assert server.events()[-2:] == ["before_cutover", "after_cutover"]


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 0.6, 1.0, 2.0])
def test_a_veto_holds_also_when_the_copy_is_refreshed_meanwhile(world, server, after):
    client = Client(world)
    server.add(events=CUTOVER)

    def say(hook, event, body):
        world.run(after)
        return 409 if event == "before_cutover" else 200

    server.say = say
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "before_cutover", "cutover_failed")
    world.run(50.0)
    assert server.events() == ["before_cutover", "cutover_failed"]
    world.run(20.0)
    assert server.events() == ["before_cutover", "cutover_failed"] * 2
    world.run(100.0)  # ever more rarely
    assert server.events() == ["before_cutover", "cutover_failed"] * 2
    client.stop()


def test_all_hooks_have_to_agree_and_those_asked_hear_of_a_veto(world, server):
    server.add("one")
    server.add("two", pool="nvme", events=CUTOVER)
    server.add("elsewhere", pool="other")
    server.say = lambda hook, event, body: (
        409 if (hook, event) == ("two", "before_cutover") else 200
    )
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "before_cutover", "cutover_failed", hook="two")
    wait_events(world, server, "executed", "before_cutover", "cutover_failed", hook="one")
    assert server.events("elsewhere") == []


def test_an_answer_that_comes_later(world, server):
    server.add()
    server.say = lambda hook, event, body: (202, "", "30") if event == "before_cutover" else 200
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "executed", "before_cutover")
    world.run(40.0)
    assert server.ids.count(server.ids[-1]) == 2  # asked again, under the same id
    assert hold(world)["message"] == "The hook one has to agree to the cutover."
    with pytest.raises(MigrationError) as error:
        world.call(lambda: world.engine.hooks.done("two", spec("nvme/a"), None))
    assert error.value.errno == EINVAL
    done = world.call(lambda: world.engine.hooks.done("one", spec("nvme/a"), None))
    assert done.event == "before_cutover"
    world.wait_state("nvme/a", "cut-over")
    wait_events(world, server, "executed", "before_cutover", "after_cutover")


def test_a_veto_that_comes_later(world, server):
    server.add()
    server.say = lambda hook, event, body: 202 if event == "before_cutover" else 200
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "executed", "before_cutover")
    world.call(lambda: world.engine.hooks.done("one", spec("nvme/a"), "not today"))
    assert "said no: not today." in hold(world)["message"]
    wait_events(world, server, "executed", "before_cutover", "cutover_failed")


def test_a_client_that_is_still_there_after_the_yes_keeps_the_source(world, server):
    client = Client(world)
    server.add(events=CUTOVER)
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "before_cutover")
    world.run(5.0)
    assert "when no client has hdd/a open" in hold(world)["message"]
    wait_events(world, server, "before_cutover", "cutover_failed", seconds=90)
    assert server.bodies("cutover_failed")[0]["start_on"] == "hdd/a"
    assert "was still open" in hold(world)["message"]
    assert client.open is not None


def test_a_hook_that_does_not_answer_is_tried_again_and_health_says_so(world, server):
    server.add(events=CUTOVER)
    down = [True]
    server.say = lambda hook, event, body: 503 if down else 200
    begin(world)
    world.wait_state("nvme/a", "executed")
    world.run(60.0)
    (said,) = world.engine.hooks.failing()
    assert "The hook one does not take its messages" in said
    assert "answers 503" in said
    assert len(set(server.ids)) == 1
    (row,) = world.engine.hooks.shown()
    assert "answers 503" in row.last_failure
    assert {(call.event, call.about, call.outcome) for call in row.recent} == {
        ("before_cutover", "nvme/a", "failed")
    }
    down.clear()
    world.run(120.0)
    assert world.engine.hooks.failing() == []
    assert world.do("get", "nvme/a")["state"] == "cut-over"


@pytest.mark.parametrize("request_", ["pause", "abort"])
def test_what_was_asked_is_taken_back(world, server, request_):
    server.add(events=CUTOVER)
    server.say = lambda hook, event, body: 202 if event == "before_cutover" else 200
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "before_cutover")
    assert world.engine.hooks.shown()[0].questions == ("nvme/a",)
    world.do(request_, "nvme/a")
    wait_events(world, server, "before_cutover", "cutover_failed")
    (row,) = world.engine.hooks.shown()
    assert (row.waiting, row.questions) == (0, ())
    assert [(call.event, call.outcome) for call in row.recent] == [
        ("cutover_failed", "taken"),
        ("before_cutover", "later"),
    ]


def test_a_commit_waits_for_hooks(world, server):
    server.add(events=["before_commit", "committed"])
    no = [True]
    server.say = lambda hook, event, body: 409 if no and event == "before_commit" else 200
    world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "before_commit")
    world.run(2.0)
    assert "The hook one said no. The commit is tried again" in hold(world)["message"]
    no.clear()
    world.do("commit", "nvme/a")
    assert world.wait_until_quiet()
    wait_events(world, server, "before_commit", "before_commit", "committed")


def test_the_way_back_asks_hooks_too(world, server):
    client = Client(world)
    server.add(events=CUTOVER)

    server.say = client.told
    begin(world)
    world.wait_state("nvme/a", "cut-over")
    wait_events(world, server, "before_cutover", "after_cutover")
    assert client.image == "nvme/a"
    world.call(lambda: world.engine.migrations.abort(spec("nvme/a"), policy=HOOK))
    assert world.wait_until_quiet()
    wait_events(world, server, "before_cutover", "after_cutover", "before_cutover", "after_cutover")
    assert server.bodies("before_cutover")[1]["leave"] == "nvme/a"
    assert server.bodies("before_cutover")[1]["back"]
    assert client.image == "hdd/a"
    assert world.content("hdd/a") == LATER


def test_without_a_hook_for_it_a_cutover_is_refused(world, server):
    with pytest.raises(MigrationError, match="hook add") as error:
        begin(world)
    assert error.value.errno == ENOENT
    assert world.records() == {}
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.EXECUTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    server.add(pool="other")
    for command in ("cutover", "abort"):
        with pytest.raises(MigrationError, match="hook add"):
            world.do(command, "nvme/a", policy=HOOK)
    server.add("two", pool="hdd")
    world.do("cutover", "nvme/a", policy=HOOK)
    world.wait_state("nvme/a", "cut-over")


def test_a_hook_that_is_removed_while_it_is_asked(world, server):
    server.add(events=CUTOVER)
    server.say = lambda hook, event, body: 202
    begin(world)
    world.wait_state("nvme/a", "executed")
    wait_events(world, server, "before_cutover")
    world.call(lambda: world.engine.hooks.remove("one"))
    world.run(3.0)
    assert "were removed" in hold(world)["message"]
    world.run(61.0)
    assert "No hook takes before_cutover" in hold(world)["message"]
    assert world.cluster.config_keys == {}


def test_a_message_that_cannot_be_removed_is_tried_again_after_a_while(world, server):
    """Its hook is gone, and the pool answers with errors: not again and again at once."""
    server.add(events=["executed"])
    server.say = lambda hook, event, body: 500
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.EXECUTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    world.run(3.0)
    refused = Fault(lambda client, pool, oid, write: write and oid == "rbd_migration", times=1000)
    world.cluster.faults = [refused]
    world.call(lambda: world.engine.hooks.remove("one"))
    world.run(60.0)
    assert 1 <= 1000 - refused.times <= 20
    world.cluster.faults = []
    world.run(60.0)
    assert world.engine.problems() == []
    stored = world.cluster.pool_named("nvme").objects["", "rbd_migration"].omap
    assert not [key for key in stored if key.startswith("hook")]


# -- kills and failovers


@pytest.mark.parametrize("after", range(0, 60, 2))
def test_a_manager_killed_anywhere_in_a_cutover_by_hooks_loses_nothing(world, server, after):
    client = Client(world)
    server.add(events=CUTOVER)
    last = {}

    def say(hook, event, body):
        if event == "before_cutover":
            client.stop()
        elif client.open is None:
            client.start(body["migration"]["start_on"])
        last[hook] = event
        return 200

    server.say = say
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.EXECUTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    try:
        world.kill_manager_after(after)
        world.do("cutover", "nvme/a", policy=HOOK)
        world.run(8.0)
    except ManagerLost:
        pass
    if world.manager.process.alive:
        world.forget_kills()
    else:
        world.failover()
    try:
        world.retry(lambda: world.do("cutover", "nvme/a", policy=HOOK))
        world.run(180.0)
    finally:
        world.forget_kills()
    assert world.do("get", "nvme/a")["state"] == "cut-over"
    assert last == {"one": "after_cutover"}
    assert client.image == "nvme/a"
    assert world.content("nvme/a") == LATER
    assert world.engine.hooks.shown()[0].waiting == 0


def test_messages_wait_for_the_next_manager(world, server):
    server.add(events=["executed", "aborted"])
    server.say = lambda hook, event, body: 500
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.EXECUTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    world.do("abort", "nvme/a")
    world.run(10.0)
    ids = set(server.ids)
    world.failover()
    server.say = lambda hook, event, body: 200
    world.run(60.0)
    assert set(server.ids) == ids
    assert sorted(server.events()) == ["aborted", "executed"]
    assert world.engine.hooks.shown()[0].waiting == 0


def test_a_cutover_that_cannot_be_done_is_undone_and_the_clients_get_their_image_back(
    world, server
):
    client = Client(world)
    server.add(events=CUTOVER)

    server.say = client.told
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.EXECUTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    broken = [True]

    def matches(asking, pool, oid, write):
        trashes = write and oid == "rbd_trash" and asking.process in world.workers()
        return bool(broken) and trashes

    world.cluster.faults.append(Fault(matches, timed_out, times=1000, delay=15.0))
    world.do("cutover", "nvme/a", policy=HOOK)
    world.run(310.0)
    broken.clear()
    wait_events(world, server, "before_cutover", "cutover_failed", seconds=600)
    assert client.image == "hdd/a"
    world.do("cutover", "nvme/a")
    world.wait_state("nvme/a", "cut-over")
    wait_events(world, server, *CUTOVER[::2], *CUTOVER[:2])
    assert client.image == "nvme/a"
    assert world.content("nvme/a") == LATER


@pytest.mark.parametrize("done", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("number", range(8))
def test_a_write_whose_answer_is_lost_leaves_no_client_without_its_image(
    world, server, number, done
):
    client = Client(world)
    server.add(events=CUTOVER)

    def say(hook, event, body):
        if event == "before_cutover":
            client.stop()
        elif client.open is None:
            client.start(body["migration"]["start_on"])
        return 200

    server.say = say
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.EXECUTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "executed")
    lose_answer(world, number, done=done)
    with contextlib.suppress(MigrationError):
        world.do("cutover", "nvme/a", policy=HOOK)
    world.run(60.0)
    world.retry(lambda: world.do("cutover", "nvme/a", policy=HOOK))
    world.run(240.0)
    assert world.do("get", "nvme/a")["state"] == "cut-over"
    assert client.image == "nvme/a"
    assert world.content("nvme/a") == LATER
    assert world.engine.hooks.shown()[0].waiting == 0
    stored = world.cluster.pool_named("nvme").objects["", "rbd_migration"].omap
    assert [key for key in stored if key.startswith("hook.")] == []


def test_the_end_of_a_plan_is_told(world, server):
    server.add(events=["plan_done"], pool="nvme")
    definition = Definition("move", (Selector("hdd"),), Rule("nvme", ""))
    world.call(lambda: world.engine.plans.create(definition))
    world.call(lambda: world.engine.plans.begin("move"))
    assert world.wait_until_quiet()
    assert server.events() == ["plan_done"]
    ((_, _, body),) = server.got
    assert body["migration"] is None
    assert (body["plan"]["name"], body["plan"]["state"]) == ("move", "done")
    assert body["plan"]["migrations"] == 1


def test_a_plan_moves_images_whose_clients_hooks_stop(world, server):
    clients = Client(world)
    definition = Definition(
        "move",
        (Selector("hdd"),),
        Rule("nvme", ""),
        policy=Policy(Goal.CUT_OVER, verify=Verify.NONE, cutover=HOOK),
        method=Method.WARM,
    )
    world.call(lambda: world.engine.plans.create(definition))
    with pytest.raises(MigrationError, match="hook add"):
        world.call(lambda: world.engine.plans.begin("move"))
    server.add(events=["before_cutover", "plan_done"])
    server.say = lambda hook, event, body: clients.stop() or 200
    world.call(lambda: world.engine.plans.begin("move"))
    world.run(5.0)
    world.wait_state("nvme/a", "cut-over")
    wait_events(world, server, "before_cutover", "plan_done")
    assert server.bodies("before_cutover")[0]["plan"] == "move"


# -- the commands

REFUSED = [
    ({"name": "a b"}, EINVAL, "name"),
    ({"url": "ftp://x/"}, EINVAL, "https://"),
    ({"url": "https://u:p@x/"}, EINVAL, "signed"),
    ({"url": "https://x:99999/"}, EINVAL, "port"),
    ({"url": "http://x.example/"}, EPERM, "hook_http"),
    ({"url": "https://127.0.0.1/"}, EPERM, "hook_hosts"),
    ({"url": "https://[::1]/"}, EPERM, "hook_hosts"),
    ({"url": "https://169.254.169.254/"}, EPERM, "hook_hosts"),
    ({"events": ["later"]}, EINVAL, "before_cutover"),
    ({"secret": "short"}, EINVAL, "openssl"),
    ({"secret": "config://mgr/dashboard/key"}, EPERM, "migration-hook-secret"),
    ({"secret": "config://rbd/migration-hook-secret/none"}, ENOENT, "does not exist"),
    ({"timeout": 0.5}, EINVAL, "--timeout"),
    ({"ca": "nonsense"}, EINVAL, "PEM"),
    ({"pool": "gone"}, ENOENT, "does not exist"),
]


@pytest.mark.parametrize(("wrong", "errno", "said"), REFUSED)
def test_what_cannot_be_a_hook_is_refused(world, wrong, errno, said):
    given = {"name": "one", "url": "https://x.example/", "secret": SECRET, **wrong}
    name, url = given.pop("name"), given.pop("url")
    with pytest.raises(MigrationError, match=said) as error:
        world.call(lambda: world.engine.hooks.add(name, url, **given))
    assert error.value.errno == errno
    assert world.engine.hooks.shown() == []
    assert world.cluster.config_keys == {}


def test_hooks_are_known_to_the_next_manager_and_no_secret_is_shown(world, server):
    server.add(pool="nvme")
    with pytest.raises(MigrationError, match="already"):
        server.add()
    before = world.engine.hooks.shown()
    assert SECRET not in str(before)
    world.failover()
    assert world.engine.hooks.shown() == before


def test_a_test_says_what_the_server_answers(world, server):
    server.add()
    world.call(lambda: world.engine.hooks.test("one"))
    assert server.events() == ["test"]
    server.say = lambda hook, event, body: (500, "no space", None)
    with pytest.raises(MigrationError, match="answers 500: no space") as error:
        world.call(lambda: world.engine.hooks.test("one"))
    assert error.value.errno == EIO
    server.say = lambda hook, event, body: world.run(20.0) or 200
    with pytest.raises(MigrationError, match="not answered yet") as error:
        world.call(lambda: world.engine.hooks.test("one"))
    assert error.value.errno == EAGAIN
