"""Health warnings about migrations: what is warned of when, in which words, and when it ends."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rbdmigrate.control.health.warnings import (
    Code,
    Facts,
    Limits,
    keys_needed,
    lost_agents,
    warnings,
)
from rbdmigrate.model.agent_messages import Inventory, OpenDisk, OpenGuest
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy, Release
from rbdmigrate.model.host_report import HostReport
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Actor, Failure, Hold, Intent
from rbdmigrate.model.reverse_rounds import ReverseRounds
from rbdmigrate.model.rounds import Rounds
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import ActKind, Goal, HoldReason, Method, State
from rbdmigrate.model.verification import Outcome, Verification, Verify
from tests.fakes.world import World
from tests.unit.builders import NOON, migration

HOUR = 3600.0
DIFFERS = Verification(Verify.FULL, 1, 1.0, NOON, 1.0, outcome=Outcome.FAILED, at=NOON)
FAILURE = Failure(5, "It broke.", NOON)
AGENT = CutoverPolicy(CutoverMode.AGENT, 3.0)
S3 = (
    '{"type": "raw", "stream": {"type": "s3", "url": "https://h/b", "access_key": "a", '
    '"secret_key": "config://rbd/migration-source/k"}}'
)
HTTP = '{"type": "raw", "stream": {"type": "http", "url": "http://h/a.raw"}}'
SOURCE = Hold(HoldReason.SOURCE, "Nothing was copied for 5m 00s; check whether it answers.")


def copying(act=ActKind.EXECUTE, **changes):
    intent = Intent(act, NOON, Actor("x", "h", 1, (), ()))
    return migration(state=State.EXECUTING, prepared_at=NOON, intent=intent, **changes)


def rests(state, **changes):
    return migration(state=state, prepared_at=NOON, **changes)


def moved(pause, **changes):
    found = rests(State.CUT_OVER, method=Method.WARM, cutover=AGENT, rounds=Rounds(pause=pause),
                  cut_over_at=NOON)  # fmt: skip
    return replace(found, **changes)


def waiting(**changes):
    found = rests(State.EXECUTED, method=Method.WARM, cutover=AGENT, executed_at=NOON)
    return replace(found, **changes)


def behind(failures, **changes):
    rounds = ReverseRounds(failures=failures, problem="rbd/a is open for writing by client.1.")
    return replace(moved(1.0, reverse=rounds, refresh_source=HOUR), **changes)


PAUSED = Release(NOON, "t", "h1", "web")
IMPORT = {"imported": Import(HTTP)}
CASES = [
    ("a copy that gets on", Facts(copying(), NOON, still=1.0), {}),
    ("one without progress for long", Facts(copying(), NOON, still=601.0), {Code.STALLED}),
    ("a comparison", Facts(copying(ActKind.VERIFY), NOON, still=601.0), {Code.STALLED}),
    ("a prepare", Facts(copying(ActKind.PREPARE), NOON, still=601.0), {}),
    ("a rate of 0", Facts(copying(), NOON, still=None), {}),
    ("its source is silent", Facts(copying(**IMPORT), NOON, 900.0, SOURCE), {Code.SOURCE}),
    ("queued for a year", Facts(migration(), NOON + 9000 * HOUR), {}),
    ("prepared just now", Facts(rests(State.PREPARED), NOON + 71 * HOUR), {}),
    ("prepared for days", Facts(rests(State.PREPARED), NOON + 73 * HOUR), {Code.UNFINISHED}),
    ("executed since", Facts(rests(State.EXECUTED, executed_at=NOON + 9 * HOUR),
                             NOON + 73 * HOUR), {}),
    ("cut over for days", Facts(moved(1.0), NOON + 73 * HOUR), {Code.UNFINISHED}),
    ("a copy goes on for days", Facts(copying(), NOON + 99 * HOUR, 1.0), {}),
    ("failed", Facts(migration(state=State.FAILED, failure=FAILURE), NOON), {Code.FAILED}),
    ("differs", Facts(migration(state=State.FAILED, failure=FAILURE, failed_in=State.VERIFYING,
                                verification=DIFFERS), NOON), {Code.VERIFY}),
    ("tried twice", Facts(copying(**IMPORT, attempts=2, failure=replace(FAILURE, transient=True)),
                          NOON), {}),
    ("tried often", Facts(copying(**IMPORT, attempts=3, failure=replace(FAILURE, transient=True)),
                          NOON), {Code.SOURCE}),
    ("no import", Facts(copying(attempts=9, failure=replace(FAILURE, transient=True)), NOON), {}),
    ("a secret is gone", Facts(copying(imported=Import(S3)), NOON,
                               missing=("rbd/migration-source/k",)), {Code.SECRET}),
    ("a short pause", Facts(moved(2.9), NOON), {}),
    ("a long pause", Facts(moved(3.1), NOON), {Code.CUTOVER}),
    ("a long pause yesterday", Facts(moved(3.1), NOON + 25 * HOUR), {}),
    ("a cutover by hand takes its time",
     Facts(moved(9.0, cutover=CutoverPolicy()), NOON), {}),
    ("a guest waits", Facts(waiting(release=PAUSED), NOON + 3.0), {}),
    ("a guest waits too long", Facts(waiting(release=PAUSED), NOON + 9.0), {Code.CUTOVER}),
    ("clients closed it", Facts(waiting(release=Release(NOON)), NOON + 9.0), {}),
    ("two reverse rounds failed", Facts(behind(2), NOON), {}),
    ("three reverse rounds failed", Facts(behind(3), NOON), {Code.REVERSE}),
    ("no others follow", Facts(behind(3, refresh_source=0.0), NOON), {}),
    ("they are paused", Facts(behind(3, paused=True), NOON), {}),
    ("it goes back", Facts(behind(3, goal=Goal.ABORTED), NOON), {}),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "codes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_warned_of(facts, codes):
    found = warnings(facts, Limits())
    assert set(found) == set(codes)
    for said in found.values():
        assert said.startswith("rbd/a -> ssd/b: ")
        assert said.endswith(".")
        assert "\n" not in said


def test_nothing_is_warned_of_whose_limit_is_0():
    for facts in (Facts(copying(), NOON, 1e9), Facts(rests(State.PREPARED), NOON + 1e9)):
        assert warnings(facts, Limits(0.0, 0.0)) == {}


REMEDIES = [
    (rests(State.PREPARED), "`ceph rbd migration execute ssd/b` or back", "the trash of rbd"),
    (rests(State.EXECUTED), "`ceph rbd migration commit ssd/b`", "space twice"),
    (
        rests(State.EXECUTED, method=Method.WARM),
        "`ceph rbd migration cutover ssd/b`",
        "every round",
    ),
    (rests(State.EXECUTED, **IMPORT), "`ceph rbd migration commit ssd/b`", "needs its source"),
]


@pytest.mark.parametrize(("m", "remedy", "price"), REMEDIES)
def test_a_migration_left_half_done_says_what_it_costs_and_how_to_end_it(m, remedy, price):
    said = warnings(Facts(m, NOON + 99 * HOUR), Limits())[Code.UNFINISHED]
    assert remedy in said
    assert price in said
    assert "`ceph rbd migration abort ssd/b`" in said


def report(lost=True, image="a"):
    disk = OpenDisk(ImageSpec("rbd", "", image))
    guests = (OpenGuest("web", "u", "running", (disk,)),)
    return HostReport("h1", NOON, Inventory("1", guests), lost)


LOST = [
    (report(), waiting(), True),
    (report(lost=False), waiting(), False),
    (report(image="other"), waiting(), False),
    (report(), waiting(cutover=CutoverPolicy()), False),
    (report(), waiting(goal=Goal.EXECUTED), False),
    (report(), moved(1.0), False),
    (report(), waiting(release=PAUSED), True),
]


@pytest.mark.parametrize(("one", "m", "warned"), LOST)
def test_an_agent_is_missed_when_a_migration_waits_for_it(one, m, warned):
    found = lost_agents([one], [m])
    assert bool(found) is warned
    for said in found:
        assert "h1" in said
        assert "ssd/b" in said


def test_keys_are_those_that_were_stored_and_those_that_are_named():
    stored = Import(S3, secrets=("rbd/migration/m1/0",))
    assert keys_needed(migration(imported=stored)) == (
        "rbd/migration/m1/0",
        "rbd/migration-source/k",
    )
    assert keys_needed(migration(imported=Import("{"))) == ()
    assert keys_needed(migration(imported=stored, state=State.COMMITTED)) == ()
    assert keys_needed(migration()) == ()


def lines(world, code):
    found = {one.code: one.lines for one in world.call(world.engine.health.find)}
    assert set(found) == {code.name for code in Code}
    return found[code.name]


def test_a_warning_ends_with_what_it_is_about():
    with World() as world:
        world.create_image("hdd/a", {0: b"one"})
        world.prepare("hdd/a", "nvme/a")
        assert lines(world, Code.UNFINISHED) == []
        world.jump_ahead(73 * HOUR)
        assert "has been prepared for 73h" in lines(world, Code.UNFINISHED)[0]
        world.do("abort", "nvme/a", force=True)
        assert lines(world, Code.UNFINISHED) == []


def test_every_warning_has_a_section_in_the_documentation():
    text = (Path(__file__).parents[2] / "doc" / "troubleshooting.rst").read_text()
    sections = re.findall(r"^RBD_MIGRATION_(\w+)$", text, re.MULTILINE)
    others = {"MODULE", "SERVER", "POOL", "RECORD", "TARGET", "PLAN"}
    assert {code.name for code in Code} | others <= set(sections)


def test_many_migrations_are_not_judged_all_the_time(monkeypatch):
    with World() as world:
        health, begun = world.engine.health, []

        def judged():
            begun.append(world.simulation.now)
            world.run(0.5)  # what it takes
            return []

        monkeypatch.setattr(health, "_judged", judged)
        until = world.simulation.now + 40.0
        while world.simulation.now < until:
            world.call(health.find)
            world.run(1.0)
        assert 3 <= len(begun) <= 5
