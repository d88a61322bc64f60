"""Who did what: in the timeline, in the history, and in the cluster's audit log."""

import csv
import io
import json

import pytest

from rbdmigrate.control.access import Access
from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Goal, State
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.verification import Verify
from tests.fakes.world import World, spec
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
    (ended,) = world.call(world.engine.migrations.history)
    assert ended["by"] == "ann"
    assert ("commit --force", "carol") in [(e["message"], e["by"]) for e in ended["timeline"]]


def test_a_plan_is_named_as_who_began_its_migrations(world):
    text = "plan: move\nselect: [{pool: hdd}]\nmap: {target_pool: nvme}\npolicy: {goal: prepared}\n"
    acting(world, "ann", lambda: world.engine.plans.create(parse_plan(text, "rbd")))
    acting(world, "ann", lambda: world.engine.plans.begin("move"))
    world.run(20.0)
    world.wait_state("nvme/a", "prepared")
    assert world.do("get", "nvme/a")["by"] == "plan move"


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
