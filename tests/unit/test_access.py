"""Whom the engine and the commands let see and touch what: what counts is what is acted on."""

import json
from errno import EACCES, ENOENT

import pytest

from rbdmigrate.control.access import Access
from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.control.plans.plan_file import parse_plan
from rbdmigrate.control.query import Query
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal
from tests.fakes.world import World, spec
from tests.unit.builders import migration
from tests.unit.front_ends import FakeEngine


def only(*pools):
    """A caller whose capabilities cover these pools."""
    return Access(lambda pool, namespace: pool in pools)


@pytest.fixture
def world():
    with World(pools=("hdd", "nvme", "ec")) as made:
        made.create_image("hdd/a", {0: b"one"})
        yield made


def refused(errno, request):
    with pytest.raises(MigrationError) as caught:
        request()
    assert caught.value.errno == errno, caught.value
    return str(caught.value)


ORDERS = [
    ("execute", {}),
    ("commit", {"force": True}),
    ("abort", {"force": True}),
    ("pause", {"force": True}),
    ("resume", {}),
    ("retry", {}),
    ("change", {"changes": Changes(goal=Goal.COMMITTED)}),
]


@pytest.mark.parametrize(("order", "more"), ORDERS)
@pytest.mark.parametrize(("pool", "named"), [("hdd", "hdd/a"), ("nvme", "nvme/a")])
def test_an_order_needs_both_ends_by_whichever_it_names_the_migration(
    world, order, more, pool, named
):
    world.prepare("hdd/a", "nvme/a")
    before = world.records()
    with world.engine.on_behalf_of(only(pool)):
        message = refused(EACCES, lambda: world.do(order, named, **more))
    assert "Your capabilities do not cover" in message
    assert world.records() == before


def test_an_order_needs_the_pools_for_data_and_journal(world):
    layout = LayoutOptions(data_pool="ec")
    world.call(
        lambda: world.engine.new_migrations.prepare(
            spec("hdd/a"), spec("nvme/a"), layout, Policy(goal=Goal.PREPARED)
        )
    )
    with world.engine.on_behalf_of(only("hdd", "nvme")):
        assert "ec" in refused(EACCES, lambda: world.do("abort", "nvme/a"))
    with world.engine.on_behalf_of(only("hdd", "nvme", "ec")):
        assert world.do("abort", "nvme/a")["state"] == "aborted"


def test_a_caller_sees_migrations_of_which_everything_is_covered(world):
    world.prepare("hdd/a", "nvme/a")
    for pools, count in ((["hdd"], 0), (["nvme"], 0), (["hdd", "nvme"], 1)):
        with world.engine.on_behalf_of(only(*pools)):
            assert len(world.engine.listing.find(Query(limit=0, ended=True))) == count
            assert sum(world.engine.listing.summary()["counts"].values()) == count
    world.do("abort", "nvme/a")
    assert world.wait_until_quiet()
    with world.engine.on_behalf_of(only("nvme")):
        assert world.engine.listing.history(Query()) == (0, [])
        refused(ENOENT, lambda: world.do("get", "nvme/a"))
    with world.engine.on_behalf_of(only("hdd", "nvme")):
        assert world.engine.listing.history(Query())[0] == 1
        assert world.do("get", "nvme/a")["state"] == "aborted"


def test_a_source_that_is_migrating_to_where_a_caller_sees_nothing_is_told_without_the_target(
    world,
):
    world.prepare("hdd/a", "nvme/secret")
    with world.engine.on_behalf_of(only("hdd")), pytest.raises(MigrationError) as caught:
        world.prepare("hdd/a", "hdd/b")
    assert "secret" not in str(caught.value)


def test_a_repeated_request_needs_the_same_as_an_order(world):
    layout = LayoutOptions(data_pool="ec")
    request = (spec("hdd/a"), spec("nvme/a"), layout, Policy(goal=Goal.PREPARED))
    world.call(lambda: world.engine.new_migrations.prepare(*request))
    with world.engine.on_behalf_of(only("hdd", "nvme")):
        refused(EACCES, lambda: world.engine.new_migrations.prepare(*request))


PLAN = "plan: move\nselect: [{pool: hdd, name: '*'}]\nmap: {target_pool: nvme}\n"


def test_a_plan_is_for_those_who_may_touch_all_that_it_is_about(world):
    plans = world.engine.plans
    plans.create(parse_plan(PLAN, "rbd"))
    within = PLAN.replace("target_pool: nvme", "object_size: 1M").replace("hdd", "ec")
    other = parse_plan(within, "rbd")
    with world.engine.on_behalf_of(only("ec")):
        assert plans.list() == []
        for request in (
            lambda: plans.get("move"),
            lambda: plans.begin("move"),
            lambda: plans.pause("move"),
            lambda: plans.cancel("move"),
            lambda: plans.remove("move"),
            lambda: plans.apply(other),
            lambda: plans.create(other),
        ):
            assert "which the plan move is about" in refused(EACCES, request)
    with world.engine.on_behalf_of(only("hdd", "nvme")):
        assert [plan["name"] for plan in plans.list()] == ["move"]
        assert plans.remove("move")["name"] == "move"


IMPORTS = """
plan: move
images:
  - {source_spec: {type: native, pool_id: %d, image_name: a, snap_name: s}, target: nvme/a}
"""


def test_a_plan_that_gives_a_pool_by_its_id_is_for_those_who_may_touch_this_pool():
    names = {1: "hdd", 2: "nvme"}

    def pool_name(pool_id):
        if pool_id not in names:
            raise MigrationError(ENOENT, "no such pool")
        return names[pool_id]

    def caller(*pools, known=pool_name):
        return Access(lambda pool, namespace: pool in pools, known)

    plan = parse_plan(IMPORTS % 1, "rbd")
    for access, sees in (
        (caller("hdd", "nvme"), True),
        (caller("nvme"), False),
        (caller("hdd"), False),
        (caller("hdd", "nvme", known=None), False),
    ):
        assert access.sees_plan(plan) is sees
        if not sees:
            refused(EACCES, lambda access=access: access.require_plan(plan))
    gone = parse_plan(IMPORTS % 7, "rbd")
    assert "(pool 7)" in refused(EACCES, lambda: caller("hdd", "nvme").require_plan(gone))
    assert Access().sees_plan(gone)


def test_to_make_a_plan_needs_the_permission_to_create_and_to_change_it_does_not(world):
    plans = world.engine.plans
    definition = parse_plan(PLAN, "rbd")
    with pytest.raises(MigrationError, match="permission create"):
        plans.apply(definition, may_create=False)
    assert plans.list() == []
    plans.create(definition)
    assert plans.apply(definition, may_create=False)["name"] == "move"


def test_a_look_at_a_migration_of_plain_rbd_writes_nothing_and_an_order_takes_it_over(world):
    world.client().rbd("prepare", "hdd/a", "nvme/a")
    seen = world.do("get", "nvme/a")
    assert (seen["state"], seen["id"], seen["adopted"]) == ("prepared", "", False)
    assert "any command that acts on it takes it over" in seen["timeline"][0]["message"]
    assert world.records() == {}
    assert list(world.engine.listing.find(Query())) == []
    world.do("pause", "nvme/a")
    assert len(world.records()) == 1
    assert world.do("get", "nvme/a")["adopted"]


PLACES = [
    ({}, {("rbd", ""), ("ssd", "")}),
    ({"target": Place("ssd", "ns", "b")}, {("rbd", ""), ("ssd", "ns")}),
    (
        {"target": Place("ssd", "ns", "b"), "layout": LayoutOptions(data_pool="ec")},
        {("rbd", ""), ("ssd", "ns"), ("ec", "ns")},
    ),
    ({"layout": LayoutOptions(journal_pool="j")}, {("rbd", ""), ("ssd", ""), ("j", "")}),
    ({"source": Place("", "", "http://x/y")}, {("ssd", "")}),
]


@pytest.mark.parametrize(("changes", "places"), PLACES)
def test_a_migration_is_its_ends_and_the_pools_of_its_layout(changes, places):
    assert migration(**changes).places() == places


def test_a_plan_is_its_ends_and_the_pools_of_its_layout():
    text = (
        "plan: p\nselect: [{pool: hdd}]\n"
        "map: {target_pool: nvme, target_namespace: ns, data_pool: ec, journal_pool: j}\n"
    )
    assert parse_plan(text, "rbd").places() == {
        ("hdd", ""), ("nvme", "ns"), ("ec", "ns"), ("j", "ns"),
    }  # fmt: skip


WHO_IS_UNRESTRICTED = [
    (lambda pool, namespace: True, True),
    (lambda pool, namespace: pool in ("", "mine"), False),
    (lambda pool, namespace: namespace == "", False),
    (lambda pool, namespace: pool.startswith("m"), False),
]


@pytest.mark.parametrize(("covers", "unrestricted"), WHO_IS_UNRESTRICTED)
def test_only_who_covers_every_name_is_unrestricted(covers, unrestricted):
    assert Access(covers).unrestricted is unrestricted
    assert Access().unrestricted


# -- the table of commands --------------------------------------------------------------------


@pytest.fixture(scope="module")
def commands(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.commands")


@pytest.fixture(scope="module")
def routes(front_end):
    return front_end("http.api.routes")


def test_every_command_is_in_the_table_of_what_it_accesses(commands):
    assert set(commands.resources.OF_COMMANDS) == set(commands.BY_NAME)
    assert all(commands.resources.OF_COMMANDS.values())


def test_every_route_is_a_command_of_the_table_or_in_it_itself(commands, routes):
    own = {route.name for route in routes.ROUTES if not route.command}
    assert own == set(commands.resources.OF_ROUTES)
    assert {r.command for r in routes.ROUTES if r.command} <= set(commands.resources.OF_COMMANDS)


ARGUMENTS = {
    "check": {"source_image": "rbd/a", "target_image": "ssd/b"},
    "prepare": {"source_image": "rbd/a", "target_image": "ssd/b"},
    "run": {"source_image": "rbd/a", "target_image": "ssd/b"},
    "set": {"rate": "1M"},
    "throttle set": {"rate": "1M"},
    "window set": {"window": "Mon 01:00-02:00"},
    "limit set": {"max_copies": 1},
    "api key create": {"key_name": "x"},
    "api key rm": {"key_name": "x"},
    "agent poll": {"host": "pve3"},
    "agent rm": {"host": "pve3"},
}


def test_who_may_access_nothing_is_shown_nothing_and_changes_nothing(commands, options):
    shown = (commands.resources.Resource.ONLY_VISIBLE, commands.resources.Resource.NO_NAMES)
    for name, accessed in commands.resources.OF_COMMANDS.items():
        engine, keys = FakeEngine(), FakeEngine()
        args = ARGUMENTS.get(name, {})
        if commands.resources.Resource.MIGRATION in accessed and "source_image" not in args:
            args = {**args, "target_image": "ssd/b"}
        if name.startswith("plan "):
            args = {"plan": "move"}
        command = {"prefix": f"rbd migration {name}", "format": "json", **args}
        inbuf = PLAN if name in ("plan create", "plan apply", "plan compare") else None
        code, out, said = commands.handle(
            engine, options, command, lambda pool, namespace: False, inbuf, keys
        )
        if code:
            assert code == -EACCES, (name, code, said)
            assert "Your capabilities" in said or "your capabilities" in said, (name, said)
        else:
            assert set(accessed) <= set(shown), name
            assert "ssd/b" not in out, name
            assert not json.loads(out) or "NO_NAMES" in str(accessed), (name, out)
        assert engine.calls == keys.calls == [], name


SETTINGS = [
    ("throttle set", {"rate": "1M"}, False),
    ("throttle set", {"rate": "1M", "pool": "mine"}, True),
    ("throttle set", {"rate": "1M", "pool": "other"}, False),
    ("throttle set", {"guard": "1.5"}, False),
    ("throttle clear", {}, False),
    ("throttle clear", {"pool": "mine"}, True),
    ("window set", {"window": "off"}, False),
    ("window clear", {}, False),
    ("limit set", {"max_steps": 0}, False),
]


@pytest.mark.parametrize(("name", "args", "allowed"), SETTINGS)
def test_settings_of_the_cluster_are_for_callers_without_restriction(
    commands, options, name, args, allowed
):
    command = {"prefix": f"rbd migration {name}", **args}

    def give(covers):
        return commands.handle(FakeEngine(), options, command, covers)[0]

    assert give(lambda pool, namespace: pool == "mine") == (0 if allowed else -EACCES)
    assert give(lambda pool, namespace: pool == "mine" and namespace == "ns") == -EACCES
    assert give(lambda pool, namespace: True) == 0


@pytest.mark.parametrize("option", ["data_pool", "journal_pool"])
@pytest.mark.parametrize("name", ["check", "prepare", "run"])
def test_a_pool_for_data_or_journal_has_to_be_covered(commands, options, name, option):
    engine = FakeEngine()
    ends = {"source_image": "rbd/a", "target_image": "ssd/b"}
    command = {"prefix": f"rbd migration {name}", **ends, option: "other"}
    covers = lambda pool, namespace: pool in ("rbd", "ssd")  # noqa: E731
    code, _, said = commands.handle(engine, options, command, covers)
    assert code == -EACCES
    assert "other" in said
    assert f"--{option.replace('_', '-')}" in said
    assert engine.calls == []
