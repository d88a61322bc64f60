"""Which objects librbd would copy wrong, and how a migration waits for the trimming."""

from dataclasses import replace

import pytest

from rbdmigrate.control.objects.trimming import endangered, may_be_endangered, waiting
from rbdmigrate.model.migration import Actor, Intent, Migration, Place
from rbdmigrate.model.states import ActKind, Goal, HoldReason, State
from rbdmigrate.model.untrimmed import Clone, RemovedSnapshots, Untrimmed

ACTOR = Actor("x", "host", 1, ("10.0.0.1:0/1",), (4,))
QUEUED = Migration(
    id="one",
    source=Place("hdd", "", "a", 1, "aa"),
    target=Place("nvme", "", "a", 2),
    goal=Goal.COMMITTED,
    state=State.QUEUED,
    created=0.0,
).enter(State.QUEUED, 0.0, "asked for")


def removed(*ids, stopped=False):
    return RemovedSnapshots(tuple((i, 1) for i in ids), stopped)


@pytest.mark.parametrize(
    ("kept", "newest", "queue", "may"),
    [
        ([], 0, removed(), False),
        ([], 7, removed(5, 6, 7), False),  # nobody reads what only removed snapshots keep
        ([4], 4, removed(), False),
        ([4], 5, removed(5), True),
        ([4], 5, removed(3), False),  # older than all that are kept
        ([4], 5, removed(6), False),  # the image never had it
        ([4, 9], 9, removed(6), True),  # perhaps another image's: the objects tell
        ([4, 9], 9, removed(4), False),  # being removed just now
        ([4, 9], 9, RemovedSnapshots(((1, 20),)), False),
        ([4, 9], 9, RemovedSnapshots(((1, 3), (5, 2))), True),
        ([4, 9], 9, RemovedSnapshots(((10, 5),)), False),
    ],
)
def test_objects_are_looked_at_only_for_removed_snapshots_newer_than_a_kept_one(
    kept, newest, queue, may
):
    assert may_be_endangered(kept, newest, queue) is may


@pytest.mark.parametrize(
    ("clones", "kept", "queue", "bad"),
    [
        ([], {4}, removed(5), False),
        ([(4, 5)], {4}, removed(5), True),  # read at 5, where nothing is found
        ([(4,)], {4}, removed(5), False),
        ([(4,), (5,)], {4}, removed(5), False),  # 5 is nobody's any more
        ([(4, 5)], {5}, removed(4), False),  # read at 5
        ([(4, 5, 6)], {4, 6}, removed(5), False),
        ([(3, 4), (5, 6)], {4, 5}, removed(6), True),
        ([(3, 4)], set(), removed(4), False),
        ([(3, 4)], {3, 4}, removed(3, 4), False),  # both are being removed
        ([()], {4}, removed(5), False),
    ],
)
def test_a_clone_is_endangered_when_its_newest_snapshot_was_removed_and_it_keeps_another(
    clones, kept, queue, bad
):
    found = [Clone(snapshots, 8) for snapshots in clones]
    assert endangered(found, kept, queue) is bad
    assert endangered(found, kept, queue, striped=True) is bad


@pytest.mark.parametrize(
    ("clones", "kept", "queue", "bad"),
    [
        ([((4,), 6), ((5,), 8), ((), 6)], {4}, removed(5), True),
        ([((5,), 8), ((), 6)], set(), removed(5), True),  # no snapshot is kept
        ([((3,), 8), ((4,), 6), ((), 6)], {4}, removed(3), True),  # older than all that are kept
        ([((5,), 8), ((6,), 4), ((), 6)], set(), removed(5, 6), True),
        ([((4,), 6), ((5,), 6), ((), 6)], {4}, removed(5), False),  # the image was not shrunk
        ([((4,), 6), ((5,), 4), ((), 6)], {4}, removed(5), False),
        ([((4,), 8), ((), 6)], {4}, removed(5), False),  # shrunk after a kept snapshot
        ([((4,), 6), ((5,), 8)], {4}, removed(5), False),  # the head has nothing of the object
    ],
)
def test_with_striping_a_clone_of_removed_snapshots_alone_endangers_a_smaller_view_after_it(
    clones, kept, queue, bad
):
    found = [Clone(snapshots, size) for snapshots, size in clones]
    assert endangered(found, kept, queue, striped=True) is bad
    assert endangered(found, kept, queue) is False


@pytest.mark.parametrize(("kept", "ids"), [([], [5]), ([4], [3]), ([4], [5])])
def test_with_striping_any_removed_snapshot_of_the_image_counts(kept, ids):
    assert may_be_endangered(kept, 5, removed(*ids), striped=True)
    assert not may_be_endangered(kept, 2, removed(*ids), striped=True)


def begun(m, now, act=ActKind.PREPARE, state=State.PREPARING):
    return replace(m.enter(state, now), intent=Intent(act, now, ACTOR), hold=None)


FOUND = Untrimmed("hdd", objects=3, looked=8, total=8)


def test_an_act_that_waits_for_the_trimming_leaves_its_state_and_one_entry_in_the_timeline():
    m = QUEUED
    for attempt in range(5):
        now = 100.0 * (attempt + 1)
        m = waiting(begun(m, now), FOUND, now + 1)
        assert m.state is State.QUEUED
        assert m.intent is None
        assert m.hold.reason is HoldReason.HEALTH
        assert m.hold.until == now + 11
    assert [entry.message for entry in m.timeline] == [
        "asked for",
        "waits until OSDs have trimmed removed snapshots",
    ]


def test_a_copy_that_waits_for_the_trimming_stays_prepared():
    prepared = QUEUED.enter(State.PREPARED, 1.0)
    assert waiting(begun(prepared, 5.0, ActKind.EXECUTE, State.EXECUTING), FOUND, 6.0).state is (
        State.PREPARED
    )


def test_a_copy_that_goes_on_and_waits_for_the_trimming_stays_executing():
    executing = QUEUED.enter(State.PREPARED, 1.0).enter(State.EXECUTING, 2.0)
    again = replace(executing, intent=Intent(ActKind.EXECUTE, 5.0, ACTOR))
    assert waiting(again, FOUND, 6.0).state is State.EXECUTING


def test_a_long_look_is_repeated_later():
    assert waiting(begun(QUEUED, 0.0), FOUND, 30.0).hold.until == 180.0
    assert waiting(begun(QUEUED, 0.0), FOUND, 500.0).hold.until == 800.0


def test_the_reason_says_what_was_found_and_what_to_do():
    assert "would copy 3 objects" in FOUND.reason
    assert "nosnaptrim" not in FOUND.reason
    assert "`ceph osd unset nosnaptrim`" in replace(FOUND, stopped=True).reason
    assert replace(FOUND, stopped=True).remedy == "ceph osd unset nosnaptrim"
    assert "at least 3 objects" in replace(FOUND, looked=5).reason
    assert "only 5 of 8 objects" in replace(FOUND, objects=0, looked=5).reason
    assert "cannot tell" in replace(FOUND, objects=0, looked=0, unable=True).reason
