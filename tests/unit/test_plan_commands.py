"""The commands of plans: what they call, who may give them, and what they show."""

from errno import EACCES, EINVAL, ENOENT, EPERM
from pathlib import Path

import pytest

from rbdmigrate.control.plans.plan_file import parse_plan
from tests.unit.front_ends import PLAN, PLAN_CHECK, PLAN_ITEM

_DOC = Path(__file__).parents[2] / "doc"
FILE = "plan: move\nselect: [{pool: rbd}]\nmap: {target_pool: ssd}"
NATIVE = """
plan: move
images:
  - source_spec: {type: native, pool_name: secret, image_name: disk, snap_name: snap}
    target: ssd/disk
"""


@pytest.fixture(scope="module")
def tables(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.plan_tables")


S3 = """
plan: move
images:
  - source_spec:
      type: raw
      stream:
        type: s3
        url: https://s3.example/b/o
        access_key: config://rbd/migration-source/x
        secret_key: config://mgr/x
    target: ssd/disk
"""


@pytest.mark.parametrize("name", ["plan create", "plan apply", "plan compare"])
def test_a_plan_names_no_config_key_that_is_closed_to_imports(ask, engine, name):
    code, _, said = ask(name, S3)
    assert (code, engine.calls) == (-EPERM, [])
    assert "rbd/migration-source/x" in said  # the host is not named, either


def test_a_plan_is_given_as_a_file(ask, engine):
    for name in ("create", "apply", "compare"):
        assert ask(f"plan {name}", FILE)[0] == 0
        more = {"may_create": True} if name == "apply" else {}
        assert engine.calls.pop() == (f"plan {name}", (parse_plan(FILE, "rbd"),), more)
    assert ask("plan create")[0] == -EINVAL
    assert ask("plan create", "plan: [")[0] == -EINVAL


@pytest.mark.parametrize(
    ("name", "args", "call"),
    [
        ("plan check", {}, ("plan check", ("move",), {})),
        ("plan show", {}, ("plan get", ("move",), {})),
        ("plan start", {}, ("plan begin", ("move",), {})),
        ("plan pause", {}, ("plan pause", ("move",), {})),
        ("pause", {}, ("plan pause", ("move",), {})),
        ("plan resume", {}, ("plan resume", ("move",), {})),
        ("resume", {}, ("plan resume", ("move",), {})),
        ("retry", {}, ("plan retry", ("move",), {})),
        ("plan cancel", {"force": True}, ("plan cancel", ("move",), {"force": True})),
        ("cancel", {}, ("plan cancel", ("move",), {"force": False})),
        ("plan skip", {"image": "hdd/a"}, ("plan skip", ("move", "hdd/a"), {})),
        ("plan rm", {}, ("plan remove", ("move",), {})),
    ],
)
def test_what_is_done_with_a_plan(ask, engine, name, args, call):
    assert ask(name, plan="move", **args)[0] == 0
    assert engine.calls == [call]
    assert ask(name, plan="move", format="json", **args)[0] == 0
    assert ask(name, plan="none", **args)[0] == -ENOENT


@pytest.mark.parametrize("pool", ["rbd", "ssd"])
def test_who_may_not_touch_a_pool_of_a_plan_sees_nothing_of_it(ask, engine, pool):
    code, _, said = ask("plan create", FILE, forbidden=[pool])
    assert (code, pool in said) == (-EACCES, True)
    for name in ("plan show", "plan start", "plan rm", "cancel"):
        assert ask(name, plan="move", forbidden=[pool])[0] == -EACCES
    assert engine.calls == []
    assert ask("plan ls", forbidden=[pool])[1] == "There are no plans."
    assert "move" in ask("plan ls")[1]


def test_a_snapshot_is_imported_only_for_who_may_read_it(ask):
    assert ask("plan create", NATIVE)[0] == 0
    code, _, said = ask("plan create", NATIVE, forbidden=["secret"])
    assert (code, "secret" in said) == (-EACCES, True)


def test_a_plan_stands_alone(ask):
    for more in ({"target_image": "a"}, {"all": True}):
        assert ask("pause", plan="move", **more)[0] == -EINVAL


def test_a_plan_that_is_done_with_failures_says_so_in_words(tables):
    over = {**PLAN, "state": "done-with-failures", "ended": PLAN["created"]}
    assert tables.outcome(over).startswith("move: done with failures; of 1 images")
    assert "took 1m 30s" in tables.detail(over)
    assert "30s left" in tables.detail(PLAN)


def test_a_commit_of_a_plan_is_never_forced(ask, engine):
    assert ask("commit", plan="move", force=True)[0] == -EINVAL
    assert engine.calls == []


def test_without_a_target_the_commands_say_what_else_can_be_given(ask):
    for name in ("pause", "resume", "retry", "commit", "cancel"):
        code, _, said = ask(name)
        assert code == -EINVAL
        assert said.startswith("Give a target, such as nvme/vm1, ")
        assert "--plan" in said


def test_what_is_shown(tables):
    text = tables.detail(PLAN)
    assert "running, wave 1 of 1; of 1 images 1 running" in text
    assert "rbd/a" in text
    failed = {**PLAN_ITEM, "phase": "failed"}
    counts = {**PLAN["counts"], "running": 0, "failed": 1}
    over = {**PLAN, "state": "done", "ended": PLAN["created"], "counts": counts, "items": [failed],
            "problems": ["rbd/a -> ssd/b: It exists."], "next": "", "warnings": []}  # fmt: skip
    assert tables.outcome(over) == ("move: done; of 1 images 1 failed\nrbd/a -> ssd/b: It exists.")
    assert "problem" in tables.detail(over)
    draft = {**PLAN, "state": "draft", "total": 0, "items": []}
    assert tables.outcome(draft).splitlines()[0] == "move: draft"


def test_methods_are_shown_where_they_differ(tables):
    assert "METHOD" not in tables.detail(PLAN)
    shown = tables.detail({**PLAN, "items": [{**PLAN_ITEM, "method": "copy"}, PLAN_ITEM]})
    assert "METHOD" in shown
    assert "copy" in shown
    item = PLAN_CHECK["items"][0]
    assert "methods" not in tables.check(PLAN_CHECK)
    found = {**PLAN_CHECK, "items": [{**item, "method": "copy"}, {**item, "method": "live"}]}
    assert "methods: 1 by copy, 1 by live" in tables.check(found)
    reasons = [{"method": "warm", "ok": False, "code": "WARM_CLONES", "reason": "It has clones."}]
    found["items"][0].update(method="live", methods=reasons)
    found["items"][1].update(method="warm", methods=[])
    move = f"{found['items'][0]['source']} -> {found['items'][0]['target']}"
    assert f"method live: {move}: WARM_CLONES: It has clones." in tables.check(found).splitlines()


def test_what_a_check_shows(tables):
    assert "1 images, 100 B to copy at most; all of them can begin" in tables.check(PLAN_CHECK)
    part = {**PLAN_CHECK, "done": False, "total": None, "items": [], "pools": []}
    said = "move: 1 of ? images are checked; run the command again for the rest"
    assert tables.check(part) == said
    pool = {**PLAN_CHECK["pools"][0], "bytes_free": 5, "fits": False}
    tight = {**PLAN_CHECK, "ok": False, "pools": [pool], "seconds": 61}
    said = tables.check(tight)
    assert "it does not fit" in said
    assert "1m 01s" in said
    assert tables.check({**PLAN_CHECK, "problem": "No image fits."}) == "move: No image fits."


def test_the_documentation_names_every_field_and_action_of_plans(front_end):
    schemas = front_end("http.api.plan_schemas")
    text = (_DOC / "reference" / "json.rst").read_text(encoding="utf-8")
    section = text.split("\nPlans\n=====\n")[1].split("\n=====")[0]
    commit = front_end("http.api.schemas").BULK
    fields = {field.name for field in (*schemas.PLAN_DETAIL, *schemas.ITEM, *commit)}
    words = {*fields, *schemas.STATES, *schemas.PHASES}
    assert {word for word in words if f"``{word}``" not in section} == set()
    rest = (_DOC / "rest.rst").read_text(encoding="utf-8")
    actions = rest.split("``/plan/<plan>/<action>``")[1].split("``/history``")[0]
    prefix = "/plan/{plan}/"
    routes = [route.path for route in front_end("http.api.routes").ROUTES]
    names = [path[len(prefix) :] for path in routes if path.startswith(prefix)]
    assert "skip" in names
    assert [name for name in names if f"``{name}``" not in actions] == []
