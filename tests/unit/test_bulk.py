"""The same act on several migrations in one request."""

import json
from errno import EBUSY, ENOENT

import pytest

from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.spec import parse_image_spec

BEGUN = [
    ("execute", "execute"),
    ("cutover", "begin_cutover"),
    ("commit", "begin_commit"),
    ("abort", "begin_abort"),
    ("cancel", "begin_abort"),
    ("pause", "pause"),
    ("resume", "resume"),
    ("retry", "retry"),
]


@pytest.fixture(scope="module")
def dispatch(front_end):
    pytest.importorskip("prettytable")
    return front_end("http.api.dispatch")


@pytest.fixture
def ask(dispatch, engine, options):
    """Makes the request: status, body, lines of the audit log."""

    def give(**body):
        lines = []
        context = dispatch.Context(engine, options, "16.2.15", lines.append)
        answer = dispatch.dispatch(context, "bulk", "", {}, body, ("update",), "key robot")
        return answer.status, json.loads(json.dumps(answer.body)), lines

    return give


@pytest.mark.parametrize(("action", "method"), BEGUN)
def test_each_target_is_one_call_and_one_line_of_the_audit_log(ask, engine, action, method):
    status, answer, lines = ask(action=action, targets=["ssd/a", "ssd/ns/b", "ssd/a"])
    assert (status, answer) == (200, {"done": ["ssd/a", "ssd/ns/b"], "refused": [], "left": 0})
    called = [(name, args[0]) for name, args, _ in engine.calls]
    assert called == [(method, parse_image_spec(t, "rbd", "x")) for t in ("ssd/a", "ssd/ns/b")]
    assert all(not named.get("force") for _, _, named in engine.calls)
    assert lines == [
        f"rbd migration {action} target_image={target} by 'key robot': accepted"
        for target in ("ssd/a", "ssd/ns/b")
    ]


def test_who_is_refused_does_not_stop_the_others(ask, engine):
    def commit(target):
        if target.image == "b":
            raise MigrationError(EBUSY, "It has clones.")

    engine.migrations.begin_commit = commit
    _, answer, lines = ask(action="commit", targets=["ssd/a", "ssd/b", "ssd/c", "a/b/c/d"])
    assert answer["done"] == ["ssd/a", "ssd/c"]
    first, second = answer["refused"]
    assert first == {"target": "ssd/b", "code": "EBUSY", "message": "It has clones."}
    assert (second["target"], second["code"]) == ("a/b/c/d", "EINVAL")
    assert [line.rpartition(": ")[2] for line in lines] == [
        "accepted",
        "refused (EBUSY)",
        "accepted",
    ]


def test_each_target_is_authorized_by_itself(front_end, engine, options):
    pytest.importorskip("prettytable")
    bulk, command = front_end("http.api.bulk"), front_end("cli.command")

    def pause(target):
        engine.caller.require(target.pool, target.namespace, "which you named")

    engine.migrations.pause = pause
    call = command.Call({}, engine, options, lambda pool, namespace: pool == "mine")
    answer = bulk.act(call, "pause", ["mine/a", "other/b"])
    assert answer["done"] == ["mine/a"]
    assert [(one["target"], one["code"]) for one in answer["refused"]] == [("other/b", "EACCES")]


def test_how_clients_leave_is_said_for_all_cutovers(ask, engine):
    policy = CutoverPolicy(CutoverMode.AGENT, 2.0, False)
    ask(action="cutover", targets=["ssd/a"], cutover="agent", max_pause="2s")
    ask(action="abort", targets=["ssd/a"], cutover="agent", max_pause="2s")
    (_, args, _), (_, _, named) = engine.calls
    assert (args[1], named["policy"]) == (policy, policy)
    status, answer, _ = ask(action="pause", targets=["ssd/a"], cutover="agent")
    assert (status, "leave it out" in answer["detail"]) == (400, True)


def test_without_time_the_rest_is_left(ask, front_end, engine, monkeypatch):
    monkeypatch.setattr(front_end("http.api.dispatch").bulk.steer, "_PATIENCE", -1.0)
    _, answer, _ = ask(action="pause", targets=["ssd/a", "ssd/b"])
    assert answer == {"done": [], "refused": [], "left": 2}
    assert engine.calls == []


BAD = [
    ({"targets": ["ssd/a"]}, "action is missing"),
    ({"action": "commit"}, "targets is missing"),
    ({"action": "remove", "targets": ["ssd/a"]}, "is not known; choose from"),
    ({"action": "commit", "targets": ["ssd/a"], "force": True}, '"force" is not known'),
    ({"action": "commit", "targets": ["ssd/a"] * 1001}, "give at most 1000"),
    ({"action": "cutover", "targets": ["ssd/a"], "max_pause": "2s"}, "add cutover"),
]


@pytest.mark.parametrize(("body", "said"), BAD)
def test_a_request_that_makes_no_sense_does_nothing(ask, engine, body, said):
    status, answer, lines = ask(**body)
    assert (status, engine.calls, lines) == (400, [], [])
    assert said in answer["detail"]


def test_it_takes_the_permission_to_change_migrations(front_end):
    assert front_end("http.api.routes").BY_NAME["bulk"].permission == "update"


def test_one_that_there_is_not_is_told_from_those_that_there_are(ask, engine):
    engine.refusal = MigrationError(ENOENT, "There is no migration to ssd/a.")
    status, answer, _ = ask(action="retry", targets=["ssd/a"])
    assert (status, answer["done"], answer["refused"][0]["code"]) == (200, [], "ENOENT")
