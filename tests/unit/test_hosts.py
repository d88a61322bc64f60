"""Agents and guests as the commands and routes show them."""

import json

import pytest

from rbdmigrate.model.agent_messages import Inventory, OpenDisk, OpenGuest
from rbdmigrate.model.host_report import LOST, HostReport
from rbdmigrate.model.spec import ImageSpec
from tests.unit.front_ends import FakeEngine

DISKS = (
    OpenDisk(ImageSpec("ssd", "", "b"), "virtio0"),
    OpenDisk(ImageSpec("rbd", "ns", "a"), "virtio1", "Two guests have it open."),
)


@pytest.fixture
def engine():
    made = FakeEngine()
    guests = (OpenGuest("web", "uuid-1", "running", DISKS),)
    made.agents.reports = [
        HostReport("h1", 5.0, Inventory("0.1.0", guests)),
        HostReport("h2", 1.0, Inventory("0.1.0", (), ("db does not answer.",)), lost=True),
    ]
    return made


@pytest.fixture
def run(front_end, engine, options):
    pytest.importorskip("prettytable")
    commands = front_end("cli.commands")

    def give(words, authorized=lambda pool, namespace: True, **args):
        cmd = {"prefix": f"rbd migration {words}", **args}
        code, out, error = commands.handle(engine, options, cmd, authorized)
        assert (code, error) == (0, "")
        return json.loads(out) if args.get("format") == "json" else out

    return give


@pytest.fixture
def ask(front_end, engine, options):
    pytest.importorskip("prettytable")
    dispatch = front_end("http.api.dispatch")
    context = dispatch.Context(engine, options, "16.2.15")

    def give(name, **query):
        answer = dispatch.dispatch(context, name, "", query, None)
        json.dumps(answer.body)
        return answer.status, answer.body

    return give


def test_tables_name_guests_and_agents(run):
    shown = run("clients").splitlines()
    assert shown[0].split() == ["IMAGE", "HOST", "GUEST", "STATUS", "DEVICE", "NOTE"]
    assert [line.split()[0] for line in shown[1:]] == ["rbd/ns/a", "ssd/b"]
    assert "Two guests have it open." in shown[1]
    agents = run("agent ls").splitlines()
    assert agents[2].rstrip().endswith("lost db does not answer.")


@pytest.mark.parametrize(
    ("args", "images"),
    [
        ({}, ["rbd/ns/a", "ssd/b"]),
        ({"pool": "ssd"}, ["ssd/b"]),
        ({"image": "rbd/ns/a"}, ["rbd/ns/a"]),
        ({"image": "a"}, []),
    ],
)
def test_routes_answer_with_the_rows_of_the_commands(run, ask, args, images):
    status, body = ask("clients", **args)
    assert status == 200
    assert [one["image"] for one in body] == images
    assert body == run("clients", format="json", **args)
    assert ask("agents") == (200, run("agent ls", format="json"))


def test_rows_have_the_documented_fields(front_end, ask):
    routes = front_end("http.api.routes").BY_NAME
    for name in ("clients", "agents"):
        for row in ask(name)[1]:
            assert list(row) == [field.name for field in routes[name].answer]
    first = ask("clients")[1][0]
    assert first["obstacle"] == "Two guests have it open."
    assert first["lost"] is False


def test_images_that_the_caller_may_not_access_are_left_out(run):
    rows = run("clients", lambda pool, namespace: pool == "ssd", format="json")
    assert [one["image"] for one in rows] == ["ssd/b"]


def test_an_agent_is_lost_when_it_was_silent_for_long():
    report = HostReport("h1", 1000.0, Inventory("0.1.0", ()))
    assert not report.seen_from(1000.0 + LOST).lost
    assert report.seen_from(1001.0 + LOST).lost
    assert not report.seen_from(900.0).lost  # a clock that was set back
