"""Every half-done state that a killed librbd call was seen to leave has its situation."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.situation import Situation, diagnose
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.observation import HeaderState, ImageView, MigrationHeader, Observation
from rbdmigrate.model.states import Goal, State

H, S = HeaderState, Situation


def record(target_id: str = "", in_place: bool = False) -> Migration:
    target = Place("hdd" if in_place else "nvme", "", "vm", 1 if in_place else 2, target_id)
    return Migration(
        id="1",
        source=Place("hdd", "", "vm", 1, "src"),
        target=target,
        goal=Goal.COMMITTED,
        state=State.PREPARING,
        created=1.0,
    )


def source(
    state: Optional[HeaderState] = None, *, trashed: bool = True, listed: bool = False
) -> ImageView:
    header = None if state is None else MigrationHeader(True, 2, "", "vm", "dst", state)
    return ImageView("src", "vm", listed, trashed, header)


def target(state: Optional[HeaderState] = None, ident: str = "dst") -> ImageView:
    header = None if state is None else MigrationHeader(False, 1, "", "vm", "src", state)
    return ImageView(ident, "vm", True, False, header)


WHOLE = source(trashed=False, listed=True)

PREPARE = [  # a prepare cut off; the target's id is not recorded yet
    ("P0 untouched", WHOLE, None, S.UNTOUCHED),
    ("P1 a trash entry only", source(listed=True), None, S.HALF_PREPARED),
    ("P2-P4 unlinked without header", source(), None, S.HALF_PREPARED),
    ("P5 source header, no target", source(H.PREPARING), None, S.HALF_PREPARED),
    ("P6-P7 target is a name", source(H.PREPARING), target(), S.HALF_PREPARED),
    ("P8 target without header", source(H.PREPARING), target(), S.HALF_PREPARED),
    ("P9 both preparing", source(H.PREPARING), target(H.PREPARING), S.HALF_PREPARED),
    ("P10 target behind", source(H.PREPARED), target(H.PREPARING), S.HALF_PREPARED),
    ("P11 prepared", source(H.PREPARED), target(H.PREPARED), S.PREPARED),
]
EXECUTE = [
    ("begun at the source", source(H.EXECUTING), target(H.PREPARED), S.PREPARED),
    ("executing", source(H.EXECUTING), target(H.EXECUTING), S.EXECUTING),
    ("ended at the source", source(H.EXECUTED), target(H.EXECUTING), S.EXECUTING),
    ("executed", source(H.EXECUTED), target(H.EXECUTED), S.EXECUTED),
]
COMMIT = [
    ("C0 nothing done", source(H.EXECUTED), target(H.EXECUTED), S.EXECUTED),
    ("C1-C3 target stands alone", source(H.EXECUTED), target(), S.HALF_COMMITTED),
    ("C4 source header gone", source(), target(), S.HALF_COMMITTED),
    ("C5 done", None, target(), S.COMMITTED),
]
ABORT = [
    ("A1 begun", source(H.ABORTING), target(H.PREPARED), S.HALF_ABORTED),
    ("A2-A4 both aborting", source(H.ABORTING), target(H.ABORTING), S.HALF_ABORTED),
    ("A5-A6 target gone", source(H.ABORTING), None, S.HALF_ABORTED),
    ("A7 half relinked", source(H.ABORTING, listed=True), None, S.HALF_ABORTED),
    ("A8 header left", source(H.ABORTING, trashed=False, listed=True), None, S.HALF_ABORTED),
    ("A9 done", WHOLE, None, S.UNTOUCHED),
]
OTHERS = [
    ("another image took the target's name", WHOLE, target(ident="other"), S.TARGET_TAKEN),
    ("nothing is left", None, None, S.LOST),
    ("the source was removed by hand", None, target(H.PREPARED), S.SOURCE_LOST),
    ("the same, all copied", None, target(H.EXECUTED), S.SOURCE_LOST_AFTER),
    ("target removed by hand", source(H.PREPARED), None, S.HALF_ABORTED),
]


def params(table, record_knows_target):
    return [
        pytest.param(record("dst" if record_knows_target else ""), *row[1:], id=row[0])
        for row in table
    ]


@pytest.mark.parametrize(
    ("migration", "src", "dst", "situation"),
    [
        *params(PREPARE, False),
        *params(EXECUTE, True),
        *params(COMMIT, True),
        *params(ABORT, True),
        *params(OTHERS, True),
    ],
)
def test_what_a_killed_call_leaves_is_recognised(migration, src, dst, situation):
    assert diagnose(migration, Observation(src, dst)) is situation


def test_in_place_the_source_under_the_targets_name_is_no_target():
    assert diagnose(record(in_place=True), Observation(WHOLE, WHOLE)) is S.UNTOUCHED


def test_in_place_an_empty_target_under_the_sources_name_is_not_taken_for_the_source():
    """librbd would prepare that empty image again and lose the true source in the trash."""
    seen = Observation(source(H.PREPARING), target())
    assert diagnose(record(in_place=True), seen) is S.HALF_PREPARED


def test_an_image_that_took_the_sources_name_is_not_the_source():
    usurper = ImageView("other", "vm", True, False, None)
    assert diagnose(record("dst"), Observation(usurper, target())) is S.COMMITTED
    assert diagnose(record(), Observation(usurper, None)) is S.LOST


@pytest.mark.parametrize(
    ("seen", "situation"),
    [
        (Observation(WHOLE, None, target_gone=True), S.UNTOUCHED),
        (Observation(source(H.PREPARED), None, target_gone=True), S.TARGET_POOL_GONE),
        (Observation(None, None, source_gone=True), S.SOURCE_POOL_GONE),
        (Observation(None, target(H.PREPARED), source_gone=True), S.SOURCE_LOST),
        (Observation(None, target(H.EXECUTED), source_gone=True), S.SOURCE_LOST_AFTER),
        (Observation(None, target(), source_gone=True), S.COMMITTED),
    ],
)
def test_removed_pools(seen, situation):
    assert diagnose(record("dst"), seen) is situation


def test_a_target_pool_that_went_before_the_prepare_is_not_an_abort():
    assert diagnose(record(), Observation(WHOLE, None, target_gone=True)) is S.TARGET_POOL_GONE


states = st.none() | st.sampled_from(HeaderState)
views = st.builds(source, states, trashed=st.booleans(), listed=st.booleans())


@given(
    src=st.none() | views,
    dst=st.none() | st.builds(target, states, st.sampled_from(["dst", "other"])),
    gone=st.tuples(st.booleans(), st.booleans()),
    knows=st.booleans(),
)
def test_every_observation_has_a_situation_and_none_is_committed_lightly(src, dst, gone, knows):
    situation = diagnose(record("dst" if knows else ""), Observation(src, dst, *gone))
    if situation in (S.COMMITTED, S.HALF_COMMITTED):
        assert dst is not None
        assert dst.header is None
        assert dst.image_id == "dst"
