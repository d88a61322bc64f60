"""Who did what: in the timeline, in the history, and in the cluster's audit log."""

import csv
import io
import json
from errno import EINVAL

import pytest

from rbdmigrate.control.access import Access
from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.control.query import Query
from rbdmigrate.model.agent_messages import Declined, Ready, Released, Resumed
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.states import Goal, Method, State
from rbdmigrate.model.verification import Verify
from tests.fakes.hook_server import HookServer
from tests.fakes.world import World, spec
from tests.unit.agent_requests import ask, guest, orders, wait_decided
from tests.unit.builders import NOON, migration
from tests.unit.front_ends import FakeEngine


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", {0: b"one"})
        yield made


def acting(world, name, request):
    """What a caller with this name asks for."""

    def named():
        with world.engine.on_behalf_of(Access(), name):
            return request()

    return world.call(named)


def said(world):
    """The requests of the timeline, and by whom."""
    return [(e["message"], e["by"]) for e in world.do("get", "nvme/a")["timeline"] if e["by"]]


def test_each_request_is_in_the_timeline_with_who_made_it(world):
    target, engine = spec("nvme/a"), world.engine.migrations

    def by(name, request):
        acting(world, name, request)

    with world.manager.acting(), world.engine.on_behalf_of(Access(), "ann"):
        world.prepare("hdd/a", "nvme/a")
    by("bob", lambda: engine.pause(target))
    by("bob", lambda: engine.pause(target))  # nothing changes
    by("ann", lambda: engine.change(target, Changes(priority=3, rate=20 << 20, change_rate=True)))
    by("", lambda: engine.resume(target))
    by("key robot", lambda: engine.execute(target))
    world.wait_state("nvme/a", "executed")
    found = said(world)
    assert found[1:] == [
        ("pause", "bob"),
        ("set rate 20 MiB/s, priority 3", "ann"),
        ("execute", "key robot"),
    ]
    assert found[0][1] == "ann"
    entries = world.do("get", "nvme/a")["timeline"]
    assert [e["by"] for e in entries if e["message"] == "resume"] == [None]
    assert world.do("get", "nvme/a")["by"] == "ann"
    by("carol", lambda: engine.commit(target, force=True))
    world.run(5.0)
    _, (ended,) = world.call(lambda: world.engine.listing.history(Query()))
    assert ended["by"] == "ann"
    assert ("commit --force", "carol") in [(e["message"], e["by"]) for e in ended["timeline"]]


def test_a_plan_is_named_as_who_began_its_migrations(world):
    text = "plan: move\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\npolicy: {goal: prepared}\n"
    acting(world, "ann", lambda: world.engine.plans.create(parse_plan(text, "rbd")))
    acting(world, "ann", lambda: world.engine.plans.begin("move"))
    world.run(20.0)
    world.wait_state("nvme/a", "prepared")
    assert world.do("get", "nvme/a")["by"] == "plan move"


def test_acts_of_plans_are_lines_of_the_audit_log_and_of_the_plans_timeline(world):
    text = "plan: move\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\n"
    text += "policy: {goal: executed, method: live}\n"
    plans = world.engine.plans
    world.set(max_copies=0)
    acting(world, "ann", lambda: plans.create(parse_plan(text, "rbd")))
    acting(world, "bob", lambda: plans.begin("move"))
    world.run(20.0)
    world.wait_state("nvme/a", "prepared")
    client = world.client()
    with client.open("nvme/a") as disk:
        disk.write(b"later".ljust(4096), 4096)
    acting(world, "bob", lambda: plans.cancel("move"))
    world.run(10.0)
    assert world.do("get", "nvme/a")["paused"]
    assert world.audit_log == [
        "plan move: running by 'plan move'",
        "migration hdd/a -> nvme/a: 'asked for' by 'plan move'",
        "migration hdd/a -> nvme/a: pause by 'plan move'",
        "plan move: cancelled by 'plan move'",
    ]
    found = world.call(lambda: plans.get("move"))["timeline"]
    assert [(e["state"], e["message"], e["by"]) for e in found] == [
        ("draft", "created", "ann"),
        ("starting", "", "bob"),
        ("running", "", "plan move"),
        ("cancelling", "", "bob"),
        ("cancelled", "", "plan move"),
    ]


def test_an_agents_acts_are_lines_of_the_audit_log(world):
    disk = world.client().open("hdd/a")
    policy = Policy(Goal.PREPARED, cutover=CutoverPolicy(CutoverMode.AGENT))
    world.call(
        lambda: world.engine.new_migrations.prepare(
            spec("hdd/a"), spec("nvme/a"), LayoutOptions(), policy, method=Method.LIVE
        )
    )
    (move,) = orders(world, guest("hdd/a", renames=True)).moves
    idents = (move.disks[0].migration,)
    for _ in range(2):
        ask(world, Declined("web-17", idents, "a backup runs"))
        world.run(1.0)
    world.run(31.0)
    orders(world, guest("hdd/a", renames=True))
    ask(world, Ready("t", "web-17", idents))
    disk.close()
    wait_decided(world, "t", idents, ask(world, Released("t", "web-17", idents)))
    ask(world, Resumed("t", "web-17", idents, 0.4))
    left, paused, resumed = world.audit_log
    about, by = "migration hdd/a -> nvme/a: ", " by 'agent pve3'"
    assert left == f"{about}'left the guest web-17 alone: a backup runs'{by}"
    assert paused == f"{about}'paused the guest web-17'{by}"
    assert resumed.startswith(f"{about}'the guest web-17 on pve3 goes on, after a pause of 0.40 s")
    found = [entry["by"] for entry in world.do("get", "nvme/a")["timeline"]]
    assert found.count("agent pve3") == 3


def test_a_hooks_answers_are_lines_of_the_audit_log(world):
    server = HookServer(world)
    server.add()
    answers = [(409, '{"reason": "a backup runs."}', None)] * 2
    server.say = lambda hook, event, body: (
        answers.pop(0) if event == "before_commit" and answers else 200
    )
    world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, verify=Verify.NONE)
    world.wait_state("nvme/a", "committed", seconds=300)
    about, by = "migration hdd/a -> nvme/a: ", " by 'hook one'"
    assert world.audit_log == [
        f"{about}'the hook one said no to the commit: a backup runs'{by}",
        f"{about}'the hook one agreed to the commit'{by}",
    ]
    assert ("the hook one agreed to the commit", "hook one") in said(world)


def test_how_long_it_was_held_is_known_to_the_next_manager(world):
    def wait(seconds):
        for _ in range(seconds):
            world.run(1.0)
            world.call(world.engine.measures.tick)

    world.prepare("hdd/a", "nvme/a")
    world.do("pause", "nvme/a")
    wait(90)
    shown = world.do("get", "nvme/a")["held_seconds"]
    assert 80 <= shown["paused"] <= 95
    world.failover()
    world.run(10.0)
    kept = world.do("get", "nvme/a")["held_seconds"]
    assert shown["paused"] - 65 <= kept["paused"] <= shown["paused"]
    wait(30)
    world.do("resume", "nvme/a")  # writes the record
    held = world.do("get", "nvme/a")["held_seconds"]["paused"]
    assert kept["paused"] + 20 <= held <= kept["paused"] + 50
    world.failover()
    world.run(10.0)
    assert world.do("get", "nvme/a")["held_seconds"]["paused"] == held
    world.do("abort", "nvme/a")
    world.wait_state("nvme/a", "aborted")
    world.run(5.0)
    _, (ended,) = world.call(lambda: world.engine.listing.history(Query()))
    assert ended["held_seconds"]["paused"] == held


def test_a_refused_request_leaves_no_entry(world):
    world.prepare("hdd/a", "nvme/a")
    before = said(world)
    with pytest.raises(MigrationError):
        acting(world, "ann", lambda: world.engine.migrations.commit(spec("nvme/a")))
    assert said(world) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (Changes(change_rate=True), "set rate off"),
        (Changes(window=""), "set window off"),
        (Changes(goal=Goal.COMMITTED, verify=Verify.FULL), "set goal committed, verify full"),
        (Changes(soak=90.0), "set soak 1m 30s"),
    ],
)
def test_a_change_is_named(changes, text):
    assert str(changes) == text


LINES = [
    ("commit", {"target_image": "ssd/b", "force": True},
     "rbd migration commit target_image=ssd/b force=True by 'key robot': accepted"),
    ("prepare", {"source_image": "a", "target_image": "ssd/b", "source_spec": '{"secret": 1}'},
     None),
    ("limit set", {"max_copies": 3}, "rbd migration limit set max_copies=3 by"),
    ("execute", {"target_image": "ssd/b\nx by root: accepted"}, "target_image='ssd/b\\nx by root"),
    ("hook rm", {"hook": "one"}, "rbd migration hook rm hook=one by 'key robot': accepted"),
    ("status", {"target_image": "ssd/b"}, ""),
    ("check", {"source_image": "a"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "text"), LINES)
def test_a_request_is_one_line_of_the_audit_log(front_end, options, name, args, text):
    pytest.importorskip("prettytable")
    commands = front_end("cli.commands")
    found = []
    cmd = {"prefix": f"rbd migration {name}", "entity": "key robot", **args}
    commands.handle(
        FakeEngine(), options, cmd, lambda pool, namespace: True, audit_log=found.append
    )
    if text == "":
        assert found == []
        return
    (line,) = found
    assert "\n" not in line
    assert "secret" not in line
    assert (text or "rbd migration prepare source_image=a target_image=ssd/b") in line


def test_refusals_and_requests_over_http_are_logged_too(front_end, options):
    pytest.importorskip("prettytable")
    dispatch = front_end("http.api.dispatch")
    found = []
    engine = FakeEngine(refusal=MigrationError(16, "It is in use."))
    context = dispatch.Context(engine, options, "16.2.15", found.append)
    answer = dispatch.dispatch(context, "abort", "ssd/b", {}, {}, ("update",), "dashboard user ann")
    assert answer.status == 400
    (line,) = found
    assert line == (
        "rbd migration abort target_image=ssd/b by 'dashboard user ann': refused (EBUSY)"
    )


ENDED = migration(
    state=State.COMMITTED, prepared_at=NOON + 10, executed_at=NOON + 30, ended_at=NOON + 95,
    bytes_total=2000, by="=cmd()", plan="move",
)  # fmt: skip


@pytest.fixture
def history(front_end, options):
    pytest.importorskip("prettytable")
    commands = front_end("cli.commands")
    engine = FakeEngine([report(ENDED, Live())])

    def give(**args):
        cmd = {"prefix": "rbd migration history", **args}
        return commands.handle(engine, options, cmd, lambda pool, namespace: True)

    give.engine = engine
    return give


def test_the_history_has_what_an_auditor_asks_for(history):
    _, shown, _ = history()
    assert shown.splitlines()[0].split() == [
        "ENDED", "SOURCE", "TARGET", "STATE", "TOOK", "PAUSE", "DATA", "RATE", "VERIFIED",
        "PLAN", "BY",
    ]  # fmt: skip
    assert "1m 35s" in shown
    (row,) = json.loads(history(export="json")[1])
    assert (row["seconds"], row["bytes"], row["bytes_per_second"]) == (95, 2000, 100)
    assert (row["plan"], row["by"]) == ("move", "=cmd()")
    (line,) = csv.DictReader(io.StringIO(history(export="csv")[1]))
    assert list(line) == list(row)
    assert line["by"] == "'=cmd()"  # no formula
    assert history(plan="other")[1] == "No migration has ended."
    assert history(export="xml")[2] == "--export 'xml' is not known; choose from json, csv."


def test_the_history_is_narrowed_by_the_same_words_everywhere(history):
    history(search="b", state="committed, aborted", pool="ssd", since="1d", target_image="ssd/b")
    (query,) = history.engine.queries
    assert (query.search, query.pool, query.target) == ("b", "ssd", "ssd/b")
    assert query.states == {State.COMMITTED, State.ABORTED}
    assert query.since > 0
    assert (query.sort, query.descending) == ("ended", True)
    code, _, said = history(state="failed")
    assert code == -EINVAL
    assert said == "--state 'failed' is not known; choose from committed, aborted."
