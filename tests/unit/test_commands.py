"""Commands: from the texts of the CLI to calls of the engine, and never an exception."""

import json
import re
from errno import EACCES, EAGAIN, EBUSY, EINPROGRESS, EINVAL
from itertools import product

import pytest

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Hold, Place
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal, HoldReason, Method, State
from rbdmigrate.model.verification import Verify
from tests.unit.builders import migration
from tests.unit.front_ends import CHECKED, FakeEngine


@pytest.fixture(scope="module")
def commands(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.commands")


@pytest.fixture
def ask(commands, engine, options):
    """Gives a command to the engine: its name, and its arguments as the CLI sends them."""

    def give(name, engine=engine, authorized=lambda pool, namespace: True, **args):
        command = {"prefix": f"rbd migration {name}", **args}
        return commands.handle(engine, options, command, authorized)

    return give


A, B = ImageSpec("rbd", "", "a"), ImageSpec("ssd", "", "b")
BOTH = {"source_image": "a", "target_image": "ssd/b"}
CALLS = [
    ("prepare", BOTH, (A, B, LayoutOptions(), Policy(Goal.PREPARED, 0))),
    ("prepare", {"source_image": "a"}, (A, None, LayoutOptions(), Policy(Goal.PREPARED, 0))),
    (
        "run",
        {"source_image": "a", "force": True},
        (A, None, LayoutOptions(), Policy(Goal.COMMITTED)),
    ),
    ("prepare", {**BOTH, "target_image": ""}, (A, None, LayoutOptions(), Policy(Goal.PREPARED, 0))),
    ("run", BOTH, (A, B, LayoutOptions(), Policy(Goal.COMMITTED, 0))),
    ("run", {**BOTH, "goal": "executed"}, (A, B, LayoutOptions(), Policy(Goal.EXECUTED, 0))),
    (
        "run",
        {**BOTH, "verify": "sample", "soak": "1h"},
        (A, B, LayoutOptions(), Policy(Goal.COMMITTED, verify=Verify.SAMPLE, soak=3600.0)),
    ),
    (
        "run",
        {**BOTH, "refresh_source": "6h"},
        (A, B, LayoutOptions(), Policy(Goal.COMMITTED, refresh_source=6 * 3600.0)),
    ),
    ("run", {**BOTH, "priority": 7}, (A, B, LayoutOptions(), Policy(Goal.COMMITTED, 7))),
]


def test_a_check_ends_with_the_methods_and_what_speaks_for_or_against_them(front_end):
    show = front_end("cli.check").show
    assert show(CHECKED).splitlines() == [
        "rbd/a -> ssd/b: it can be prepared",
        "method warm (recommended): Good.",
        "method live (not possible): Bad.",
    ]
    alone = {**CHECKED, "methods": CHECKED["methods"][:1]}
    assert show(alone).splitlines() == ["rbd/a -> ssd/b: it can be prepared"]


@pytest.mark.parametrize(("name", "args", "call"), CALLS)
def test_prepare_and_run_begin_a_migration(ask, engine, name, args, call):
    code, _, error = ask(name, **args)
    assert (code, error) == (0, "")
    named = {"force": "force" in args, "method": None, "auto": name == "run"}
    assert engine.calls == [("prepare", call, named)]


CHOSEN = [
    ("run", {}, True),
    ("run", {"goal": "executed"}, True),
    ("run", {"goal": "prepared"}, False),
    ("run", {"goal": "prepared", "method": "auto"}, True),
    ("prepare", {}, False),
    ("prepare", {"method": "auto"}, True),
    ("prepare", {"cutover": "refuse"}, False),
    ("prepare", {"cutover": "agent"}, True),
    ("prepare", {"cutover_window": "Sun"}, True),
    ("check", {}, True),
]


@pytest.mark.parametrize(("name", "args", "auto"), CHOSEN)
def test_the_method_is_chosen_where_none_is_asked_for_but_for_a_prepare(
    ask, engine, name, args, auto
):
    assert ask(name, **BOTH, **args)[0] == 0
    assert (engine.calls[0][2]["method"], engine.calls[0][2]["auto"]) == (None, auto)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"method": Method.WARM, "method_reason": "Good."},
         "Method warm: ssd/b does not exist before the cutover. Good."),
        ({"method_reason": "Warm cannot."}, "Method live: Warm cannot."),
    ],
)  # fmt: skip
def test_a_method_that_was_chosen_is_said_first(ask, chosen, words):
    record = migration(state=State.QUEUED, goal=Goal.COMMITTED, **chosen)
    engine = FakeEngine([report(record, Live())])
    assert ask("run", engine=engine, **BOTH)[1].splitlines()[0] == words
    assert (
        f"(chosen automatically): {chosen['method_reason']}"
        in ask("status", engine=engine, target_image="ssd/b")[1]
    )


@pytest.mark.parametrize("name", ["prepare", "run", "check"])
def test_an_image_is_copied_by_the_method_that_is_asked_for(ask, engine, name):
    assert ask(name, **BOTH, method="warm")[0] == 0
    assert engine.calls[0][2]["method"] is Method.WARM
    code, _, error = ask(name, **BOTH, method="moon")
    assert (code, error) == (-EINVAL, "--method is live, copy, warm or auto, not 'moon'.")


LAYOUTS = [
    ({"image_feature": "layering"}, LayoutOptions(features=("layering",))),
    ({"image_feature": ["layering", "striping"]}, LayoutOptions(features=("layering", "striping"))),
    ({"image_shared": True}, LayoutOptions(shared=True)),
    ({"image_shared": "true"}, LayoutOptions(shared=True)),
    ({"image_shared": "false"}, LayoutOptions()),
    ({"flatten": True, "data_pool": "ec"}, LayoutOptions(flatten=True, data_pool="ec")),
    ({"object_size": "4M", "data_pool": ""}, LayoutOptions(object_size=4 << 20)),
    ({"stripe_unit": "64K", "stripe_count": 2}, LayoutOptions(stripe_unit=65536, stripe_count=2)),
    ({"image_format": 2}, LayoutOptions()),
]


@pytest.mark.parametrize(("args", "layout"), LAYOUTS)
def test_the_options_of_rbd_create_make_the_layout(ask, engine, args, layout):
    assert ask("prepare", **BOTH, **args)[0] == 0
    assert engine.calls[0][1][2] == layout


ON_A_TARGET = [
    ("execute", {}, "execute", {"snapshot": "", "force": False}),
    ("execute", {"snap": "two"}, "execute", {"snapshot": "two", "force": False}),
    ("execute", {"snap": "2", "force": True}, "execute", {"snapshot": "2", "force": True}),
    ("cutover", {}, "cutover", {"policy": None}),
    ("commit", {}, "commit", {"force": False}),
    ("commit", {"force": True}, "commit", {"force": True}),
    ("abort", {}, "abort", {"force": False, "policy": None}),
    ("abort", {"force": "true"}, "abort", {"force": True, "policy": None}),
    ("cancel", {"force": True}, "abort", {"force": True}),
    ("pause", {}, "pause", {"force": False}),
    ("pause", {"force": True}, "pause", {"force": True}),
    ("resume", {}, "resume", {}),
    ("retry", {}, "retry", {}),
    ("status", {}, "get", {}),
]


@pytest.mark.parametrize(("name", "args", "method", "options"), ON_A_TARGET)
def test_a_command_on_a_target_is_one_call_of_the_engine(ask, engine, name, args, method, options):
    code, _, error = ask(name, target_image="ssd/b", **args)
    assert (code, error) == (0, "")
    assert engine.calls == [(method, (B,), options)]


REFUSED = [
    ("execute", {"target_image": "b", "force": True}, "add --snap"),
    ("prepare", {"source_image": "a@s"}, "names a snapshot"),
    ("prepare", {}, "source '' is not an image spec"),
    ("prepare", {**BOTH, "object_size": "5M"}, "--object-size"),
    ("run", {**BOTH, "goal": "aborted"}, "--goal 'aborted' is not known"),
    ("run", {**BOTH, "verify": "some"}, "choose from auto, none, sample, full"),
    ("run", {**BOTH, "soak": "soon"}, "--soak 'soon' is not a duration"),
    ("verify", {"target_image": "ssd/b", "mode": "none"}, "choose from sample, full"),
    ("set", {"target_image": "ssd/b", "verify": "all"}, "choose from none, sample, full"),
    ("set", {"target_image": "ssd/b", "refresh_source": "5s"}, "--refresh-source is 5s; give 60 s"),
    ("set", {"target_image": "ssd/b", "verify": "auto"}, "choose from none, sample, full"),
    (
        "run",
        {**BOTH, "goal": "moon"},
        "choose from prepared, executed, cut-over, verified, committed",
    ),
    ("ls", {"state": "lost"}, "--state 'lost' is not known; choose from queued"),
    ("fly", {}, "is not a command"),
]


@pytest.mark.parametrize(("more", "mode"), [({}, Verify.FULL), ({"mode": "sample"}, Verify.SAMPLE)])
def test_verify_compares_everything_unless_a_sample_is_asked_for(ask, engine, more, mode):
    ask("verify", target_image="ssd/b", **more)
    assert engine.calls == [("verify", (B, mode), {})]


@pytest.mark.parametrize(("name", "args", "words"), REFUSED)
def test_what_is_wrong_is_refused_in_a_sentence_and_nothing_is_done(ask, engine, name, args, words):
    code, output, error = ask(name, **args)
    assert (code, output) == (-EINVAL, "")
    assert words in error
    assert error.endswith(".")
    assert engine.calls == []


def test_the_engines_refusal_is_the_answer(ask):
    busy = FakeEngine(refusal=MigrationError(EBUSY, "The source is in use."))
    assert ask("prepare", engine=busy, **BOTH) == (-EBUSY, "", "The source is in use.")


def test_before_the_records_are_read_the_answer_is_to_try_again(ask):
    code, _, error = ask("status", engine=None)
    assert code == -EAGAIN
    assert "try again" in error


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("run", {**BOTH, "priority": "high"}),
        ("prepare", {**BOTH, "stripe_count": "x"}),
        ("ls", {"limit": "x"}),
    ],
)
def test_a_number_that_is_none_is_refused(ask, name, args):
    assert ask(name, **args)[0] == -EINVAL


HELD_UP = [
    (HoldReason.HEALTH, "OSDs are trimming removed snapshots."),
    (HoldReason.RETRY, "Preparing ssd/b failed. Attempt 2 follows by itself."),
    (HoldReason.PAUSED, "It was paused."),
]


@pytest.mark.parametrize(("reason", "message"), HELD_UP)
@pytest.mark.parametrize("state", [State.QUEUED, State.PREPARING])
@pytest.mark.parametrize("style", ["plain", "json"])
def test_a_prepare_that_is_held_up_ends_with_einprogress(ask, state, reason, message, style):
    held = FakeEngine([report(migration(state=state), Live(hold=Hold(reason, message)))])
    code, output, error = ask("prepare", engine=held, format=style, **BOTH)
    assert (code, output) == (-EINPROGRESS, "")
    assert message in error
    assert "Start no client on it" in error


UNDER_WAY = [
    (State.QUEUED, None),
    (
        State.QUEUED,
        Hold(
            HoldReason.LIMIT,
            "It waits for a free slot (`ceph rbd migration limit get`); others go first.",
        ),
    ),
    (State.PREPARING, None),
    (State.PREPARED, None),
    (State.EXECUTING, Hold(HoldReason.HEALTH, "It waits.")),
]


@pytest.mark.parametrize(("state", "hold"), UNDER_WAY)
def test_a_prepare_that_is_under_way_or_over_succeeds(ask, state, hold):
    going = FakeEngine([report(migration(state=state), Live(hold=hold))])
    code, output, _ = ask("prepare", engine=going, **BOTH)
    assert code == 0
    assert state.value in output


def test_a_run_succeeds_when_it_is_accepted(ask):
    hold = Hold(HoldReason.HEALTH, "OSDs are trimming removed snapshots.")
    held = FakeEngine([report(migration(state=State.QUEUED), Live(hold=hold))])
    code, output, _ = ask("run", engine=held, **BOTH)
    assert code == 0
    assert hold.message in output


class TestAll:
    @pytest.fixture
    def engine(self):
        hold = Hold(HoldReason.RETRY, "It waits.")
        records = [
            migration(id="1", target=Place("ssd", "", "1")),
            migration(id="2", target=Place("ssd", "", "2"), paused=True),
            migration(id="3", target=Place("ssd", "", "3"), state=State.FAILED),
            migration(id="4", target=Place("hdd", "", "4"), goal=Goal.ABORTED),
        ]
        reports = [report(record, Live()) for record in records]
        return FakeEngine([*reports, report(migration(id="5", hold=hold), Live(hold=hold))])

    @pytest.mark.parametrize(
        ("name", "targets"),
        [
            ("pause", "ssd/1 ssd/3 ssd/b"),
            ("resume", "ssd/2"),
            ("retry", "ssd/3 ssd/b"),
        ],
    )
    def test_takes_those_that_it_is_about(self, ask, engine, name, targets):
        code, text, _ = ask(name, all=True, format="json")
        assert (code, json.loads(text)) == (
            0,
            {"done": targets.split(), "refused": [], "left": 0},
        )
        assert [str(call[1][0]) for call in engine.calls] == targets.split()
        done = {"pause": "paused", "resume": "resumed", "retry": "tried again"}[name]
        assert ask(name, all=True)[1] == f"{done}: {', '.join(targets.split())}"

    def test_takes_those_only_that_the_caller_may_touch(self, ask, engine):
        ask("pause", all=True, authorized=lambda pool, namespace: pool == "hdd")
        assert engine.calls == []

    def test_goes_on_after_a_refusal_and_tells_it(self, ask, engine):
        engine.refusal = MigrationError(EBUSY, "It is being aborted.")
        code, text, _ = ask("retry", all=True)
        assert code == 0
        assert text.splitlines() == [
            "ssd/3: It is being aborted.",
            "ssd/b: It is being aborted.",
        ]

    def test_ends_in_time(self, ask, front_end, monkeypatch):
        module = front_end("cli.steer")
        monkeypatch.setattr(module, "_PATIENCE", 0.0)
        command = next(c for c in module.TABLE if c.name == "pause")
        call = front_end("cli.command").Call(
            {"all": True}, FakeEngine(), None, lambda pool, namespace: True
        )
        result = command.run(call)
        assert result == {"done": [], "refused": [], "left": 1}
        assert "run the command again" in command.show(result)

    def test_is_given_without_a_target(self, ask, engine):
        assert ask("pause", all=True, target_image="ssd/1")[0] == -EINVAL
        assert ask("pause")[0] == -EINVAL
        assert engine.calls == []


class TestFormat:
    def test_json_is_the_report(self, ask, engine):
        for style in ("json", "json-pretty"):
            assert (
                json.loads(ask("execute", target_image="b", format=style)[1]) == engine.reports[0]
            )

    def test_plain_is_for_people(self, ask):
        assert ask("execute", target_image="b")[1].startswith("rbd/a -> ssd/b: queued")

    def test_another_is_refused(self, ask):
        code, output, error = ask("ls", format="xml")
        assert (code, output) == (-EINVAL, "")
        assert error.startswith("--format xml is not supported; ")

    def test_a_command_that_is_refused_for_its_format_is_not_carried_out(self, ask, engine):
        assert ask("commit", target_image="b", format="xml")[0] == -EINVAL
        assert engine.calls == []


class TestCapabilities:
    @staticmethod
    def only(pool, namespace=""):
        return lambda *asked: asked == (pool, namespace)

    @pytest.mark.parametrize("allowed", ["rbd", "ssd"])
    def test_a_migration_needs_both_ends(self, ask, engine, allowed):
        code, _, error = ask("prepare", authorized=self.only(allowed), **BOTH)
        assert code == -EACCES
        assert "capabilities" in error
        assert engine.calls == []

    @pytest.mark.parametrize("name", sorted({row[0] for row in ON_A_TARGET}))
    def test_a_command_on_a_target_needs_its_pool(self, ask, engine, name):
        assert ask(name, authorized=self.only("rbd"), target_image="ssd/b")[0] == -EACCES
        assert engine.calls == []

    @pytest.mark.parametrize("name", ["ls", "status"])
    def test_lists_hold_only_migrations_of_which_both_ends_are_covered(self, ask, name):
        inside, outside = Place("ssd", "ns", "a"), Place("hdd", "", "a")
        targets = [Place("ssd", "", "b"), Place("ssd", "ns", "b"), Place("hdd", "", "b")]
        ends = [(inside, place) for place in targets] + [(outside, targets[1])]
        engine = FakeEngine(
            [report(migration(source=source, target=target), Live()) for source, target in ends]
        )
        answer = ask(name, engine=engine, authorized=self.only("ssd", "ns"), format="json")
        assert [r["target"] for r in json.loads(answer[1])] == ["ssd/ns/b"]


LISTED = [
    ({}, "1 2 3"),
    ({"state": "failed"}, "2"),
    ({"pool": "hdd"}, "2 3"),
    ({"pool": "hd"}, ""),
    ({"pool": "hdd", "state": "queued"}, "3"),
    ({"limit": 2}, "1 2"),
    ({"limit": 0}, "1 2 3"),
    ({"pool": "hdd", "limit": 1}, "2"),
]


class TestLs:
    @pytest.mark.parametrize(("args", "idents"), LISTED)
    def test_narrows(self, ask, args, idents):
        hdd = Place("hdd", "ns", "x")
        records = [
            migration(id="1"),
            migration(id="2", source=hdd, state=State.FAILED),
            migration(id="3", target=hdd),
        ]
        engine = FakeEngine([report(record, Live()) for record in records])
        listed = json.loads(ask("ls", engine=engine, format="json", **args)[1])
        assert " ".join(r["id"] for r in listed) == idents


class TestDescriptions:
    def test_are_what_the_manager_expects(self, commands):
        words = r"rbd migration [a-z-]+( [a-z]+){0,2}"
        form = words + r"( name=[a-z_]+,type=Ceph[A-Za-z]+(,[a-z]+=[^ ,]+)*)*"
        for command in commands.TABLE:
            described = command.describe()
            assert re.fullmatch(form, described["cmd"])
            assert described["perm"] in ("r", "w", "rw")

    def test_what_may_make_the_manager_talk_to_a_source_is_not_for_readers(self, commands):
        imports = {
            c.name: c.perm for c in commands.TABLE if "import_only" in {a.name for a in c.args}
        }
        assert set(imports) == {"check", "prepare", "run"}
        assert {*imports.values(), commands.BY_NAME["plan check"].perm} == {"w"}

    def test_required_arguments_come_before_optional_ones(self, commands):
        for command in commands.TABLE:
            required = [arg.required for arg in command.args]
            assert required == sorted(required, reverse=True), command.name

    def test_there_is_each_command_that_a_report_tells_people_to_give(self, commands):
        told = set()
        for state, goal in product(State, Goal):
            text = report(migration(state=state, goal=goal), Live())["next"]
            told |= set(re.findall(r"`ceph rbd migration (\S+)", text))
        assert {"execute", "commit", "abort", "retry"} <= told
        assert told <= {command.name for command in commands.TABLE}

    def test_no_argument_is_called_as_one_of_the_clis_own(self, commands):
        own = {"prefix", "target", "format"}
        assert not [a for command in commands.TABLE for a in command.args if a.name in own]


class TestPace:
    def test_a_throttle_is_set_for_the_cluster_and_for_pools(self, ask, options):
        assert ask("throttle set", rate="50M")[0] == 0
        assert ask("throttle set", pool="ssd", rate="0")[0] == 0
        assert options.throttle() == {"timetable": "50M", "timezone": "UTC"}
        assert "50M\n" in ask("throttle get")[1]  # no times, so no timezone
        assert options.settings.pool_rates == {"ssd": 0}
        assert ask("throttle clear")[0] == 0
        assert ask("throttle clear", pool="ssd")[0] == 0
        assert options.settings.timetable is None
        assert options.settings.pool_rates == {}

    def test_a_timetable_has_a_time_zone(self, ask, options):
        ask("throttle set", timetable="Mon-Fri 08:00,50M 18:00,off", timezone="Europe/Berlin")
        assert str(options.settings.timetable) == "Mon-Fri 08:00,50M 18:00,off"
        assert options.settings.timetable.tz == "Europe/Berlin"

    @pytest.mark.parametrize(
        "args",
        [
            {},
            {"rate": "50M", "timetable": "50M"},
            {"pool": "ssd", "timetable": "50M"},
            {"pool": "ssd", "rate": "fast"},
            {"guard": "1.0"},
            {"guard": "much"},
            {"guard": "1.5", "pool": "ssd"},
            {"rate": "50M", "timezone": "Mars/Olympus"},
        ],
    )
    def test_a_throttle_that_makes_no_sense_is_refused(self, ask, options, args):
        assert ask("throttle set", **args)[0] == -EINVAL
        settings = options.settings
        assert (settings.timetable, settings.pool_rates, settings.guard) == (None, {}, 0.0)

    def test_the_guard_is_set_alone_or_with_a_rate(self, ask, options):
        assert ask("throttle set", guard="1.5")[0] == 0
        assert ask("throttle set", guard="2", rate="50M")[0] == 0
        assert options.settings.guard == 2.0
        assert ask("throttle set", guard="off")[0] == 0
        assert options.settings.guard == 0.0

    def test_a_window_is_set_in_a_time_zone_and_taken_away(self, ask, options):
        text = "Mon-Fri 20:00-06:00, Sat-Sun"
        code, shown, _ = ask("window set", window=text, timezone="Asia/Tokyo")
        assert (code, shown) == (0, f"{text} (Asia/Tokyo)")
        assert options.settings.window.tz == "Asia/Tokyo"
        assert ask("window clear")[:2] == (0, "always")
        assert options.settings.window is None

    @pytest.mark.parametrize("args", [{}, {"window": "now"}, {"window": "Sun", "timezone": "X/Y"}])
    def test_a_window_that_makes_no_sense_is_refused(self, ask, options, args):
        assert ask("window set", **args)[0] == -EINVAL
        assert (options.settings.window, options.settings.timezone) == (None, "UTC")

    def test_limits_are_set_by_name(self, ask, options):
        assert ask("limit set", max_copies=8, per_source_pool=2)[0] == 0
        settings = options.settings
        assert (settings.max_copies, settings.per_source_pool, settings.max_steps) == (8, 2, 4)

    @pytest.mark.parametrize("args", [{}, {"max_copies": -1}, {"max_copies": "many"}])
    def test_a_limit_that_makes_no_sense_is_refused(self, ask, options, args):
        assert ask("limit set", **args)[0] == -EINVAL
        assert options.settings.max_copies == 4

    def test_options_that_make_no_sense_leave_what_was_before(self, options):
        options.set_throttle("50M", None)
        module = options._module
        module.values.update(gate_recovery_wait=-1, guard=0.5, window="never")
        options.read()
        assert "An option is left as it was before" in options.problem
        assert options.settings.thresholds.recovery.wait == 0.10
        assert (options.settings.guard, options.settings.window) == (0.0, None)
        assert str(options.settings.timetable) == "50M"

    def test_thresholds_of_gates_are_options(self, options):
        options._module.values.update(gate_recovery_slow="0.2", gate_slow_ops_wait="0")
        options.read()
        thresholds = options.settings.thresholds
        assert (thresholds.recovery.slow, thresholds.slow_ops.wait) == (0.2, None)
        assert options.problem == ""

    def test_which_health_errors_stop_copies_is_an_option(self, options):
        assert "OSD_*" in options.settings.thresholds.errors
        options._module.values.update(gate_health_errors="OSD_FULL, MGR_*")
        options.read()
        assert options.settings.thresholds.errors == ("OSD_FULL", "MGR_*")
        options._module.values.update(gate_health_errors="no code")
        options.read()
        assert options.settings.thresholds.errors == ("OSD_FULL", "MGR_*")
        assert "gate_health_errors has" in options.problem

    def test_set_changes_what_is_given_only(self, ask, engine):
        ask("set", target_image="ssd/b", rate="off")
        ask("set", target_image="ssd/b", rate="10M", priority=3, goal="executed", window="sun")
        second = Changes(
            rate=10 << 20, change_rate=True, priority=3, goal=Goal.EXECUTED, window="Sun"
        )
        assert engine.calls == [
            ("change", (B, Changes(change_rate=True)), {}),
            ("change", (B, second), {}),
        ]

    def test_set_without_anything_to_set_is_refused(self, ask, engine):
        assert ask("set", target_image="ssd/b")[0] == -EINVAL
        assert engine.calls == []


class TestTop:
    @pytest.fixture
    def engine(self):
        copying = Live(copied=3 << 20, size=4 << 20, rate=1 << 20, eta=1.0, acting=True)
        reports = [
            report(migration(id="1", paused=True, state=State.EXECUTING), Live()),
            report(migration(id="2", state=State.EXECUTING), copying),
        ]
        engine = FakeEngine(reports)
        engine.cluster_rate = lambda: 50 << 20
        return engine

    @pytest.mark.parametrize("width", [None, 60, 80, 200])
    def test_fits_the_terminal_and_shows_what_copies_first(self, ask, width):
        code, text, _ = ask("top", **({} if width is None else {"width": width}))
        totals, first, *_ = text.splitlines()
        assert code == 0
        assert totals.startswith("2 migrations, 1 copying at 1 MiB/s (throttle 50 MiB/s)")
        assert "75%  3 MiB/4 MiB  1 MiB/s  1s" in first
        if width is not None:
            limit = max(60, width, len(totals))
            assert all(len(line) <= limit for line in text.splitlines())

    def test_nothing_is_cut_without_a_terminal(self, ask):
        long = Place("ssd", "", "b" * 100, pool_id=2)
        paused = Hold(HoldReason.PAUSED, "It was paused; " + "x" * 100 + " continues it.")
        held = report(migration(target=long), Live(hold=paused))
        text = ask("top", engine=FakeEngine([held]))[1]
        assert text.startswith("1 migration, 0 copying")
        assert f"{held['source']} -> {held['target']}  queued" in text
        assert f"    paused: {paused.message}" in text

    def test_json_has_the_reports(self, ask, engine):
        found = json.loads(ask("top", format="json")[1])
        assert found == {
            "migrations": engine.reports,
            "cluster_rate": 50 << 20,
            "gates": [],
            "guard": None,
        }
