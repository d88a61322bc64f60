"""What an import is: whose a half-made target is, what its source is called, what is kept."""

import json

import pytest

from rbdmigrate.control.lifecycle.situation import Situation, diagnose
from rbdmigrate.model.import_source import Import, host_of
from rbdmigrate.model.migration import Place
from rbdmigrate.model.migration_codec import decode, encode, encode_readable
from rbdmigrate.model.observation import (
    HeaderState,
    ImageView,
    MigrationHeader,
    Observation,
)
from rbdmigrate.model.source_spec import parse_source_spec
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import State
from tests.unit.builders import NOON, migration

SPEC = {"type": "raw", "stream": {"type": "http", "url": "https://a.example/x.raw"}}
OURS, OTHERS = "10e04177c1c2", "2f014177c1c2"  # client 4320 made the first
LINKED = {"state": State.PREPARED, "prepared_at": NOON}


def record(**changes):
    imported = Import(json.dumps(SPEC), makers=(4320,))
    return migration(source=Place("", "", "raw over x"), imported=imported, **changes)


def header(state):
    return MigrationHeader(False, -1, "", "", "", HeaderState(state), import_only=True)


def target(ident=OURS, state=None, exists=True):
    return ImageView(ident, "b", True, False, header(state) if state else None, exists)


@pytest.mark.parametrize(
    ("image_id", "client", "made"),
    [
        ("10e04177c1c2", 4320, True),
        ("10e04177c1c2", 4321, False),
        ("10e04177c1c2", 0x10E, False),  # 9 digits would be left: the random part has 8 at most
        ("10e0", 4320, False),
        # librbd keeps the last 14 digits: of a large number the first ones are cut off
        ("89abcd12345678", 0x123456789ABCD, True),
        ("99abcd12345678", 0x123456789ABCD, False),
        ("", 4320, False),
    ],
)
def test_an_image_shows_which_client_made_it(image_id, client, made):
    assert Import("{}", makers=(0xFFF, client)).made(image_id) is made


TABLE = [
    # record, what is seen, situation
    ({}, Observation(None, None), Situation.UNTOUCHED),
    ({}, Observation(None, target(OTHERS)), Situation.TARGET_TAKEN),
    ({}, Observation(None, target(exists=False)), Situation.HALF_PREPARED),
    ({}, Observation(None, target()), Situation.HALF_PREPARED),
    ({}, Observation(None, target(state=HeaderState.PREPARING)), Situation.HALF_PREPARED),
    ({}, Observation(None, target(state=HeaderState.PREPARED)), Situation.PREPARED),
    (LINKED, Observation(None, target(state=HeaderState.EXECUTING)), Situation.EXECUTING),
    (LINKED, Observation(None, target(state=HeaderState.EXECUTED)), Situation.EXECUTED),
    (LINKED, Observation(None, target(state=HeaderState.ABORTING)), Situation.HALF_ABORTED),
    (LINKED, Observation(None, target(exists=False)), Situation.HALF_ABORTED),
    (LINKED, Observation(None, target()), Situation.COMMITTED),
    (LINKED, Observation(None, None), Situation.UNTOUCHED),
    (LINKED, Observation(None, target(OTHERS)), Situation.TARGET_TAKEN),
    (LINKED, Observation(None, None, target_gone=True), Situation.UNTOUCHED),
    ({}, Observation(None, None, target_gone=True), Situation.TARGET_POOL_GONE),
]


@pytest.mark.parametrize(("changes", "seen", "situation"), TABLE)
def test_the_target_alone_tells_the_situation(changes, seen, situation):
    assert diagnose(record(**changes), seen) is situation


def test_a_record_keeps_its_import():
    m = record(**LINKED)
    assert decode(encode(m)) == m
    plain = json.loads(encode(migration()))
    assert "imported" not in plain  # as the version before wrote it
    assert decode(json.dumps(plain).encode()) == migration()


def test_whom_a_source_is_read_from():
    assert host_of(parse_source_spec(json.dumps(SPEC))) == "a.example"
    file = {"type": "raw", "stream": {"type": "file", "file_path": "/x"}}
    assert host_of(parse_source_spec(json.dumps(file))) == ""


def test_an_external_source_is_called_by_its_name_alone():
    assert str(ImageSpec("", "", "raw over x")) == "raw over x"
    assert str(record().source.spec) == "raw over x"


@pytest.mark.parametrize("text", ["", "not JSON", "[" * 100_000, "7", '"text"'])
def test_a_spec_that_cannot_be_read_is_shown_as_nothing(text):
    assert Import(text).redacted() == {}
    assert not Import(text).native


def test_a_prepare_that_is_repeated_for_months_does_not_fill_the_record():
    """Every attempt may have been another worker; the last ones matter."""
    kept = Import("{}")
    for client in range(4321 - 3000, 4321):
        kept = kept.to_be_made([client, client])
    assert kept.made(OURS)
    assert len(kept.makers) == 1000
    assert encode_readable(migration(imported=kept))


def test_a_source_that_changes_again_and_again_does_not_fill_the_record():
    kept = Import("{}")
    for number in range(100):
        kept = kept.changed([f"It changed {number}: " + "x" * 70_000, "It changed."])
    assert kept.changes[0].startswith("It changed 0: ")
    assert kept.changes.count("It changed.") == 1
    assert len(kept.changes) == 20
    assert encode_readable(migration(imported=kept))
