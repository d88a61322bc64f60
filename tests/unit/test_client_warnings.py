"""Warnings about clients: which hold for which migration, and what is noticed on a target."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from rbdmigrate.model.client_warnings import RULES, client_warnings, documented
from rbdmigrate.model.report import what_next
from rbdmigrate.model.states import Goal, State
from rbdmigrate.model.target_changes import TargetChanges
from tests.fakes.cluster import BLOCK
from tests.fakes.world import World
from tests.unit.builders import NOON, migration

SNAPSHOTS = {"OLD_READS", "SNAPSHOT_REMOVE", "SNAPSHOT_ROLLBACK"}
COPIED = {"SHRINK", "INCREMENTAL_BACKUP", "SOURCE_POOL_KEY"}


def prepared(**changes):
    plain = {"state": State.PREPARED, "goal": Goal.PREPARED, "prepared_at": NOON, "snapshots": 0}
    return migration(**{**plain, **changes})


def codes(m):
    return {warning.code for warning in client_warnings(m)}


def test_an_image_with_snapshots_is_warned_of_what_needs_snapshots():
    assert codes(prepared(snapshots=2)) == {*SNAPSHOTS, *COPIED, "SOURCE_READERS"}
    assert codes(prepared(snapshots=0)) == {*COPIED, "SOURCE_READERS"}


def test_where_the_number_of_snapshots_is_not_known_there_may_be_some():
    assert codes(prepared(snapshots=None)) >= SNAPSHOTS


def test_a_target_in_the_sources_pool_needs_no_other_keys():
    m = prepared()
    assert "SOURCE_POOL_KEY" not in codes(replace(m, target=replace(m.target, pool_id=1)))


def test_when_all_is_copied_only_readers_of_the_source_are_in_danger():
    assert codes(prepared(state=State.EXECUTED, executed_at=NOON)) == {"SOURCE_READERS"}


@pytest.mark.parametrize("state", [State.COMMITTED, State.ABORTED, State.ABORTING])
def test_what_is_over_or_goes_back_is_not_warned_of(state):
    assert codes(prepared(state=state)) == set()


def test_what_was_never_prepared_and_failed_is_not_warned_of():
    assert codes(migration(state=State.FAILED)) == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_warning_is_short_plain_sentences_that_name_the_image(rule):
    for warning in client_warnings(prepared(snapshots=1)):
        assert warning.text.endswith(".")
        assert "{" not in warning.text
        assert len(warning.avoid) < 100
    names = rule.avoid + rule.reason
    assert "{target}" in names or "{source}" in names


def test_what_comes_next_does_not_contradict_the_warnings():
    text = what_next(prepared(snapshots=1), None)
    assert text.startswith("`ceph rbd migration execute ssd/b`")
    assert "start the clients when it is executed" in text
    assert what_next(prepared(), None).startswith("Start the clients on the target, then")


def test_a_target_in_the_trash_comes_before_what_is_next():
    m = prepared(state=State.EXECUTED, target_changes=TargetChanges(trashed=True))
    m = replace(m, target=replace(m.target, image_id="b1"))
    assert what_next(m, None).startswith("Run `rbd trash restore ssd/b1`.")


def test_the_documentation_has_the_table_of_warnings():
    table = Path(__file__).parents[2] / "doc" / "reference" / "client-warnings.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        assert [tuple(row) for row in csv.reader(lines)] == documented()


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", {0: b"one", 2: b"two"}, objects=4)
        yield made


def warnings(world):
    return {warning["code"] for warning in world.do("get", "nvme/a")["warnings"]}


def look(world):
    world.run(40.0)


def test_a_snapshot_that_is_missing_on_the_target_is_named_until_all_is_copied(world):
    with world.client().open("hdd/a") as image:
        image.create_snap("monday")
        image.create_snap("tuesday")
    assert world.prepare("hdd/a", "nvme/a")["warnings"]
    look(world)
    assert "SNAPSHOT_REMOVED" not in warnings(world)
    with world.client().open("nvme/a") as image:
        image.remove_snap("monday")
    look(world)
    assert "SNAPSHOT_REMOVED" in warnings(world)
    assert any("(monday)" in line for line in world.engine.listing.changed_targets())
    world.do("execute", "nvme/a")
    world.wait_state("nvme/a", "executed")
    assert world.engine.listing.changed_targets() == []


def test_a_snapshot_that_a_client_made_is_no_change(world):
    world.prepare("hdd/a", "nvme/a")
    with world.client().open("nvme/a") as image:
        image.create_snap("mine")
        image.remove_snap("mine")
    look(world)
    assert world.engine.listing.changed_targets() == []


def test_a_target_that_was_shrunk_is_told_apart_from_one_that_grew_again(world):
    world.prepare("hdd/a", "nvme/a")
    with world.client().open("nvme/a") as image:
        image.resize(BLOCK)
    look(world)
    assert "TARGET_SHRUNK" in warnings(world)
    with world.client().open("nvme/a") as image:
        image.resize(3 * BLOCK)
    look(world)
    assert "TARGET_GROWN_AGAIN" in warnings(world)
    world.do("execute", "nvme/a")
    world.wait_state("nvme/a", "executed")
    look(world)
    assert "TARGET_GROWN_AGAIN" in warnings(world)


def test_a_target_that_only_grew_is_no_change(world):
    world.prepare("hdd/a", "nvme/a")
    with world.client().open("nvme/a") as image:
        image.resize(8 * BLOCK)
    look(world)
    assert world.engine.listing.changed_targets() == []


def test_a_look_at_the_status_writes_nothing(world):
    world.prepare("hdd/a", "nvme/a")
    look(world)
    before = world.cluster.snapshot()
    world.do("get", "nvme/a")
    world.call(world.engine.listing.changed_targets)
    assert world.cluster.snapshot() == before
