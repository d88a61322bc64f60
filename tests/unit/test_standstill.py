"""A migration that does not move: what is named as the cause."""

import json

import pytest

from rbdmigrate.control.lifecycle.standstill import source_rests, standstill
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Place
from rbdmigrate.model.report import what_next
from rbdmigrate.model.states import Goal, HoldReason, State
from tests.unit.builders import migration

WEB = {"type": "raw", "stream": {"type": "http", "url": "http://h/x.raw"}}
SNAPSHOT = {"type": "native", "pool_name": "p", "image_name": "i", "snap_name": "s"}


def copying(spec):
    source = Place("", "", "raw over http://h/x.raw") if spec is WEB else Place("p", "", "i")
    imported = Import(json.dumps(spec)) if spec else None
    return migration(state=State.EXECUTING, source=source, imported=imported)


def test_a_slow_source_is_named_and_not_the_cluster():
    hold = standstill(copying(WEB), 43)
    assert hold.reason is HoldReason.SOURCE
    assert hold.message.startswith("Nothing was copied for 43s; check whether the source ")
    assert "raw over http://h/x.raw answers" in hold.message
    assert source_rests(copying(WEB)).reason is HoldReason.SOURCE


@pytest.mark.parametrize("spec", [None, SNAPSHOT])
def test_the_cluster_is_named_where_the_source_is_in_it(spec):
    hold = standstill(copying(spec), 43)
    assert hold.reason is HoldReason.HEALTH
    assert hold.message == "Nothing was copied for 43s; check `ceph health`."
    assert source_rests(copying(spec)).reason is HoldReason.HEALTH


def test_what_comes_after_a_copy_of_a_changed_source_is_a_comparison():
    changed = Import(json.dumps(WEB), changes=("It changed.",))
    record = migration(state=State.EXECUTED, goal=Goal.EXECUTED, imported=changed)
    assert "verify ssd/b --mode full` compares both" in what_next(record, None)
    assert "commit ssd/b" not in what_next(record, None)
