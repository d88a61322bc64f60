"""Counters and histograms: what a change adds, their text, and that they outlive managers."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.metrics.counting import Sample, begun, changed
from rbdmigrate.control.metrics.families import BY_NAME, FAMILIES
from rbdmigrate.control.metrics.text import Value, gauge, number
from rbdmigrate.control.metrics.totals import Totals
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Actor, Failure, Intent
from rbdmigrate.model.rounds import Rounds
from rbdmigrate.model.states import ActKind, Goal, Method, State
from rbdmigrate.model.stored_metrics import decode_metrics, encode_metrics
from rbdmigrate.model.verification import Compared, Outcome, Verification, Verify
from tests.fakes.world import World
from tests.unit.builders import NOON, migration

COPY = Intent(ActKind.EXECUTE, NOON, Actor("x", "h", 1, (), ()))
PLAIN = migration(state=State.EXECUTING, intent=COPY)
FAILURE = Failure(5, "It broke.", NOON)
COMPARING = Verification(Verify.FULL, 1, 1.0, NOON, views=(Compared("", bytes=100),))
COMPARED = replace(COMPARING, outcome=Outcome.PASSED, views=(Compared("", bytes=250),))
WARM = migration(method=Method.WARM, state=State.EXECUTED, rounds=Rounds(1, 70))
BY_AGENT = replace(WARM, cutover=CutoverPolicy(CutoverMode.AGENT))
CHANGES = [
    (PLAIN, replace(PLAIN, priority=3), []),
    (PLAIN, replace(PLAIN, state=State.COMMITTED), [
        Sample("ended_total", ("committed", "live", "image"))]),
    (PLAIN, replace(PLAIN, state=State.ABORTED, imported=Import('{"type": "raw"}')), [
        Sample("ended_total", ("aborted", "live", "import"))]),
    (PLAIN, replace(PLAIN, state=State.FAILED, failure=FAILURE), [
        Sample("failures_total", ("execute",))]),
    (PLAIN, replace(PLAIN, failure=FAILURE, attempts=1), [Sample("retries_total", ("execute",))]),
    (replace(PLAIN, failure=FAILURE), replace(PLAIN, failure=FAILURE, intent=None), []),
    (PLAIN, replace(PLAIN, verification=COMPARING), [Sample("verified_bytes_total", (), 100.0)]),
    (replace(PLAIN, verification=COMPARING), replace(PLAIN, verification=COMPARED), [
        Sample("verified_bytes_total", (), 150.0),
        Sample("verifications_total", ("full", "passed"))]),
    (replace(PLAIN, verification=COMPARED), replace(PLAIN, verification=COMPARED, priority=1), []),
    (replace(PLAIN, verification=COMPARED),
     replace(PLAIN, verification=replace(COMPARING, started=NOON + 1)), [
        Sample("verified_bytes_total", (), 100.0)]),
    (WARM, replace(WARM, rounds=Rounds(3, 40)), [Sample("copied_bytes_total", ("warm",), 40.0)]),
    (WARM, replace(WARM, rounds=replace(WARM.rounds, pause=0.4), cut_over_at=NOON), [
        Sample("cutover_pause_seconds", ("refuse",), 0.4)]),
    (BY_AGENT, replace(BY_AGENT, rounds=replace(WARM.rounds, pause=0.4), cut_over_at=NOON), []),
    (replace(BY_AGENT, rounds=replace(WARM.rounds, pause=0.4), cut_over_at=NOON),
     replace(BY_AGENT, rounds=replace(WARM.rounds, pause=0.9), cut_over_at=NOON), [
        Sample("cutover_pause_seconds", ("agent",), 0.9)]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "samples"), CHANGES)
def test_a_change_of_a_record_is_counted(before, after, samples):
    assert changed(before, after) == samples
    assert all(BY_NAME[sample.name].knows(sample.labels) for sample in samples)


def test_a_new_migration_is_counted():
    snapshot = migration(imported=Import('{"type": "native"}'), method=Method.COPY)
    assert begun(snapshot) == Sample("begun_total", ("copy", "snapshot"))
    assert begun(migration()) == Sample("begun_total", ("live", "image"))


def series(text):
    """The samples of a text, by name with labels."""
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_every_series_is_there_from_the_start():
    found = series(Totals().exposition())
    assert set(found.values()) == {0.0}
    for family in FAMILIES:
        assert family.name.endswith(("_total", "_seconds"))
        assert family.name.endswith("_total") or family.buckets == tuple(sorted(family.buckets))
        each = len(family.buckets) + 3 if family.buckets else 1
        names = [name for name in found if re.match(rf"rbd_migration_{family.name}\b", name) or
                 re.match(rf"rbd_migration_{family.name}_(bucket|sum|count)\b", name)]  # fmt: skip
        assert len(names) == each * len(family.series())


def test_a_histogram_adds_up():
    totals = Totals()
    pauses = [Sample("cutover_pause_seconds", ("agent",), v) for v in (0.1, 0.3, 0.3, 99.0)]
    totals.add(pauses)
    found = series(totals.exposition())
    name = 'rbd_migration_cutover_pause_seconds_bucket{mode="agent",le="%s"}'
    shown = [found[name % bound] for bound in ("0.1", "0.25", "0.5", "60", "+Inf")]
    assert shown == [1, 1, 3, 3, 4]
    assert found['rbd_migration_cutover_pause_seconds_sum{mode="agent"}'] == pytest.approx(99.7)
    assert found['rbd_migration_cutover_pause_seconds_count{mode="agent"}'] == 4


def test_what_is_not_known_is_not_counted():
    totals = Totals()
    totals.add([Sample("nothing_total"), Sample("retries_total", ("x",)), Sample("retries_total")])
    totals.add([Sample("verified_bytes_total", (), -5.0)])
    totals.add([Sample("verified_bytes_total", (), float("nan"))])
    assert totals.exposition() == Totals().exposition()


some = st.lists(
    st.sampled_from([(f, labels) for f in FAMILIES for labels in f.series()]).flatmap(
        lambda one: st.builds(Sample, st.just(one[0].name), st.just(one[1]), st.floats(0, 1e6))
    ),
    max_size=12,
)


@given(some, some)
def test_totals_go_on_where_stored_ones_ended(first, second):
    lasting = [one for one in first if BY_NAME[one.name].lasting]
    at_once = Totals()
    at_once.add(lasting)
    at_once.add(second)
    one = Totals()
    one.add(first)
    stored = decode_metrics(encode_metrics(one.stored()))
    other = Totals()
    other.add(second)
    other.merge(stored)
    a, b = series(other.exposition()), series(at_once.exposition())
    assert a == pytest.approx(b)


def test_numbers_and_labels_are_as_prometheus_reads_them():
    assert [number(v) for v in (0.0, 3.0, 0.25, float("inf"), float("nan"))] == [
        "0", "3", "0.25", "+Inf", "NaN",
    ]  # fmt: skip
    assert 'rbd_migration_x{a="q\\"\\n\\\\"} 1\n' in gauge("x", "T.", [Value(1, {"a": 'q"\n\\'})])


def shown(world):
    return series(world.call(world.engine.measures.counters))


def tick(world):
    world.call(world.engine.measures.tick)
    world.run(16.0)
    world.call(world.engine.measures.tick)


def test_counters_go_on_with_the_next_manager():
    with World() as world:
        world.create_image("hdd/a", {0: b"one", 5: b"two"})
        world.create_image("hdd/b", {0: b"one"})
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        world.run(30.0)
        committed = 'rbd_migration_ended_total{outcome="committed",method="live",kind="image"}'
        assert shown(world)[committed] == 0  # not stored yet
        tick(world)
        before = shown(world)
        assert before[committed] == 1
        assert before['rbd_migration_copied_bytes_total{method="live"}'] > 0
        done = 'rbd_migration_step_duration_seconds_count{act="%s",result="done"}'
        assert [before[done % act] for act in ("prepare", "execute", "commit")] == [1, 1, 1]
        assert before["rbd_migration_worker_starts_total"] > 0
        world.failover()
        world.run(5.0)
        tick(world)
        after = shown(world)
        lasting = [name for name in before if not re.search("worker|store|loop|http", name)]
        assert {name: after[name] for name in lasting} == {name: before[name] for name in lasting}
        world.prepare("hdd/b", "nvme/b", goal=Goal.COMMITTED)
        world.run(30.0)
        world.failover()  # what it did not store was not shown, so nothing falls
        world.run(5.0)
        tick(world)
        assert all(shown(world)[name] >= after[name] for name in lasting)


def test_the_time_that_migrations_wait_is_counted_by_reason():
    with World() as world:
        world.create_image("hdd/a", {0: b"one"})
        world.prepare("hdd/a", "nvme/a", goal=Goal.PREPARED)
        world.do("pause", "nvme/a")
        for _ in range(10):
            tick(world)
        waited = shown(world)['rbd_migration_held_seconds_total{reason="paused"}']
        assert waited > 100
        assert world.call(world.engine.measures.gauges).oldest_waiting > waited - 30
