"""The mover: pieces, what is copied next, and whole copies of random disks that are killed."""

import random
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.mover.history import View, next_copy
from rbdmigrate.control.mover.pieces import (
    SECTOR,
    Extent,
    ExtentList,
    Position,
    joined,
    piece_size,
    pieces,
    runs,
    with_holes,
)
from rbdmigrate.model.copy_mark import CopyMark
from rbdmigrate.model.errors import MigrationError, RecordError
from rbdmigrate.worker.mover import copy as mover
from rbdmigrate.worker.mover import requests
from rbdmigrate.worker.mover.copy import DiskCopy
from rbdmigrate.worker.mover.requests import MOST, CopyFailed
from tests.unit.mover_disks import GRAIN, Killed, NoPace, Source, Target, mark_of

KIB = 1024
SIZE = 64 * KIB


def view(number, **more):
    return View(number, f"s{number}", SIZE, **more)


VIEWS = [view(4), view(6), view(9)]


def copy_of(source, writer, pace=None, progress=lambda copied: None, follow=False):
    return DiskCopy(
        reader=source,
        writer=writer,
        pace=pace or NoPace(),
        progress=progress,
        name="p/i@s",
        follow=follow,
    )


def run(source, target, until, lives=None, **more):
    """One worker's life: begins with the target's mark, ends complete or killed."""
    writer = target.writer(lives)
    try:
        mark = replace(mark_of(target), until=until) if target.mark else CopyMark(until)
        return copy_of(source, writer, **more).run(mark)
    finally:
        writer.end()


def require_copied(source, target):
    """The target's snapshots and head are those of the source."""
    wanted = [(name, source.history[n]) for n, name in source.snapshots]
    assert taken(target) == wanted
    assert bytes(target.head) == wanted[-1][1]
    protected = {name for number, name, _ in target.taken if number in target.protected}
    assert protected == {name for n, name in source.snapshots if n in source.protected}


def taken(target):
    """(name, content) of the target's snapshots."""
    return [(name, content) for _, name, content in target.taken]


# -- what is copied next


@pytest.mark.parametrize(
    ("mark", "known"),
    [
        (CopyMark(9, view=9), True),  # its copy has begun
        (CopyMark(9, view=6), True),  # that of an older snapshot has
        (CopyMark(9, view=9, reserved=(0, 12)), True),
        (CopyMark(9, view=9, reserved=(8, 12)), True),  # of an attempt before
        (CopyMark(6, base=6), False),
        (CopyMark(0, mixed=True, reserved=(9, 0)), False),
        (CopyMark(9, view=9, reserved=(9, 12)), False),
    ],
)
def test_whether_clients_know_a_snapshot(mark: CopyMark, known: bool) -> None:
    assert mark.is_known_to_clients(9) is known


def test_snapshots_are_copied_from_the_oldest_to_the_one_that_was_asked_for():
    mark, order = CopyMark(6), []
    while (found := next_copy(VIEWS, mark)) is not None:
        order.append((found.view.id, found.base and found.base.id, found.compare))
        mark = found.mark.completed(100 + len(order))
    assert order == [(4, None, False), (6, 4, False)]


def test_a_copy_goes_on_in_the_snapshot_that_it_was_at():
    found = next_copy(VIEWS, CopyMark(9, sources=(4,), targets=(7,), base=4, view=6, position=512))
    assert (found.view.id, found.base.id, found.mark.position) == (6, 4, 512)
    assert not found.compare


def test_when_the_snapshot_copied_last_is_gone_both_sides_are_read():
    found = next_copy(
        VIEWS[1:], CopyMark(9, sources=(4,), targets=(7,), base=4, view=6, position=512)
    )
    assert found.compare
    assert found.base is None
    assert found.mark.position == 512  # what is before it was copied by a difference that counted


def test_when_the_snapshot_that_was_being_copied_is_gone_the_next_one_is_compared_from_its_begin():
    found = next_copy(
        [VIEWS[0], VIEWS[2]], CopyMark(9, sources=(4,), targets=(7,), base=4, view=6, position=512)
    )
    assert (found.view.id, found.compare, found.mark.position) == (9, True, 0)
    again = next_copy([VIEWS[0], VIEWS[2]], found.mark)  # after another kill
    assert again.compare
    assert not next_copy(VIEWS, CopyMark(9, sources=(4,), targets=(7,), base=4)).compare


@pytest.mark.parametrize("parents", [(True, True), (True, False), (False, True)])
def test_no_difference_is_taken_of_snapshots_that_read_from_a_parent(parents):
    views = [view(4, parent=parents[0]), view(6, parent=parents[1])]
    assert not next_copy(views, CopyMark(6)).compare
    assert next_copy(views, CopyMark(6, sources=(4,), targets=(7,), base=4)).compare


def test_nothing_is_left_when_the_last_one_is_complete():
    assert next_copy(VIEWS, CopyMark(6, sources=(4, 6), targets=(7, 8), base=6)) is None


def test_a_mark_is_read_as_it_was_kept_and_nothing_else_is_taken_for_one():
    mark = CopyMark(9, (4,), (7,), 7, 4, 6, 512, True, 1000, 2000)
    assert CopyMark.from_json(mark.to_json()) == mark
    for text in (
        "",
        "{",
        "[]",
        "{}",
        '{"until": "9"}',
        '{"until": 9, "more": 1}',
        '{"until": 9, "sources": [4]}',
    ):
        with pytest.raises(RecordError):
            CopyMark.from_json(text)


# -- pieces

extents = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=12).map(
    lambda gaps: list(_extents(gaps))
)


def _extents(gaps):
    at = 0
    for gap, length in gaps:
        yield Extent(at + gap, length)
        at += gap + length


def bits(found, data=True):
    return {at for e in found if e.data == data for at in range(e.offset, e.end)}


@given(extents, extents)
def test_what_only_the_target_has_becomes_a_hole(data, there):
    found = list(with_holes(data, there))
    assert bits(found) == bits(data)
    assert bits(found, data=False) == bits(there) - bits(data)
    assert all(one.end <= other.offset for one, other in zip(found, found[1:]))


@given(extents, st.integers(1, 50))
def test_pieces_are_the_extents_cut_at_multiples(given_extents, size):
    found = list(pieces(given_extents, size))
    assert bits(found) == bits(given_extents)
    assert all(p.offset // size == (p.end - 1) // size for p in found)


@given(extents, st.integers(0, 50))
def test_joined_extents_cover_all_and_fill_only_small_gaps(given_extents, gap):
    found = [Extent(*pair) for pair in joined(given_extents, gap)]
    assert bits(found) >= bits(given_extents)
    assert all(two.offset - one.end > gap for one, two in zip(found, found[1:]))


def test_extents_of_a_striped_image_come_out_in_rising_order():
    found = ExtentList()
    for offset in (0, 8, 4, 12, 16, 24, 20):
        found.add(offset, 2, True)
    assert [e.offset for e in found] == [0, 4, 8, 12, 16, 20, 24]


def test_neighbours_of_one_kind_are_one_extent():
    found = ExtentList()
    for extent in (Extent(0, 4), Extent(4, 4), Extent(8, 4, False), Extent(12, 4, False)):
        found.add(*extent)
    assert list(found) == [Extent(0, 8), Extent(8, 8, False)]


@given(
    st.lists(st.sampled_from([b"\0", b"x"]), max_size=8),
    st.integers(0, 3),
    st.integers(0, 9),
    st.sampled_from([64 * KIB, SECTOR]),
)
def test_zeros_are_told_from_data(blocks, skipped, odd, grain):
    content = b"".join(block * grain for block in blocks) + b"\0" * odd
    found = list(runs(content, skipped * grain + 100, grain))
    assert [e.offset for e in found[:1]] == [skipped * grain + 100][: len(content)]
    assert sum(e.length for e in found) == len(content)
    assert all(one.end == two.offset and one.data != two.data for one, two in zip(found, found[1:]))
    base = skipped * grain + 100
    assert all(not any(content[e.offset - base : e.end - base]) for e in found if not e.data)


def test_a_request_touches_a_bounded_number_of_objects():
    assert piece_size(4 << 20) == 4 << 20
    assert piece_size(32 << 20) == 4 << 20
    assert piece_size(4096) == 64 * 4096


@given(st.permutations(range(8)))
def test_the_position_is_where_everything_before_is_done(order):
    position, done = Position(5), set()
    for number in range(8):
        position.begin(10 + number)
    for number in order:
        position.done(10 + number)
        done.add(number)
        whole = next((n for n in range(8) if n not in done), 8)
        assert position.reached == (5 if whole == 0 else 9 + whole)


# -- whole copies


def random_source(chance, snapshots):
    source, content = Source(), bytearray(chance.randrange(0, 40) * GRAIN)
    for number in range(snapshots):
        for _ in range(chance.randrange(12)):
            if content:
                at = chance.randrange(len(content) // GRAIN + 1) * GRAIN
                end = min(len(content), at + chance.randrange(1, 9) * GRAIN)
                fill = chance.choice([bytes, chance.randbytes])
                content[at:end] = fill(end - at)
        if chance.random() < 0.3:
            size = chance.randrange(60) * GRAIN + chance.choice([0, 0, 100])
            content = content[:size].ljust(size, b"\0")
        source.add(
            f"s{number}",
            content,
            protected=chance.random() < 0.3,
            parent=chance.random() < 0.2,
        )
    return source


@pytest.mark.parametrize("seed", range(30))
def test_a_copy_that_is_killed_anywhere_and_resumed_is_exact(seed):
    chance = random.Random(seed)
    source = random_source(chance, chance.randrange(1, 5))
    target = Target(len(source.history[source.snapshots[-1][0]]), object_size=16)
    target.numbers_reserved = seed % 2 == 1
    until = source.snapshots[-1][0]
    for _ in range(1000):
        try:
            run(source, target, until, lives=chance.randrange(1, 30))
        except Killed:
            continue
        break
    require_copied(source, target)


@pytest.mark.parametrize("seed", range(30))
def test_snapshots_that_are_removed_during_the_copy_spoil_nothing(seed, monkeypatch):
    monkeypatch.setattr(mover, "_SAVED", 0.0)
    chance = random.Random(seed)
    source = random_source(chance, 5)
    target = Target(len(source.history[source.snapshots[-1][0]]), object_size=16)
    target.numbers_reserved = seed % 2 == 1
    until = source.snapshots[-1][0]

    def remove_some(view):
        if chance.random() < 0.05 and len(source.snapshots) > 1:
            source.remove(chance.choice(source.snapshots[:-1])[1])

    source.on_read = remove_some
    for _ in range(1000):
        try:
            run(source, target, until, lives=chance.choice([None, chance.randrange(1, 40)]))
        except Killed:
            continue
        break
    names = [name for name, _ in taken(target)]
    assert names == sorted(names)
    for name, content in taken(target):
        assert content == source.history[_number(name)], name
    assert {name for _, name in source.snapshots} <= set(names)
    assert bytes(target.head) == source.history[until]


def _number(name):
    return 5 + 2 * int(name[1:])


def test_the_snapshot_that_was_asked_for_is_removed():
    source, target = Source(), Target(SIZE)
    until = source.add("one", b"x" * SIZE)
    source.remove("one")
    with pytest.raises(MigrationError, match="removed before it was copied"):
        run(source, target, until)
    assert target.taken == []


def test_zeros_are_read_but_not_written_onto_nothing():
    source, target = Source(), Target(8 << 20, object_size=4 << 20)
    content = bytearray(8 << 20)
    content[: 64 * KIB] = b"x" * 64 * KIB
    source.add("one", content)
    run(source, target, 5)
    require_copied(source, target)
    assert target.written == 64 * KIB


def test_only_what_changed_is_copied_and_charged():
    source, target = Source(), Target(SIZE)
    content = bytearray(b"x" * SIZE)
    source.add("one", content)
    content[:GRAIN] = b"y" * GRAIN
    content[8 * GRAIN : 9 * GRAIN] = bytes(GRAIN)
    until = source.add("two", content)
    pace = NoPace()
    mark = run(source, target, until, pace=pace)
    require_copied(source, target)
    assert pace.charged == SIZE + GRAIN == mark.bytes
    assert target.written == SIZE + 2 * GRAIN


def test_progress_is_told_in_bytes_and_reaches_the_whole():
    source, target, told = Source(), Target(SIZE), []
    until = source.add("one", b"x" * SIZE)
    mark = run(source, target, until, progress=told.append)
    assert told == sorted(told)
    assert told[-1] <= mark.bytes == SIZE


def test_many_requests_are_in_flight_but_not_more_than_the_limit():
    source, target = Source(), Target(SIZE, object_size=16)  # pieces of 1 KiB
    until = source.add("one", b"x" * SIZE)
    begun, enough = [], threading.Event()

    def progress(copied):
        begun.append(copied)
        if len(begun) == min(MOST, SIZE // KIB) - 1:
            enough.set()

    waited = []
    source.on_read = lambda view: waited.append(enough.wait(30))
    run(source, target, until, progress=progress)
    assert all(waited), "the requests were begun before the first read ended"
    assert target.most_in_flight <= MOST


def test_the_bytes_in_flight_are_bounded():
    requests = mover.Requests(0)
    for number in range(8):
        requests.begin(Extent(number << 22, 4 << 20))
    waiter = threading.Thread(target=requests.begin, args=(Extent(8 << 22, 4 << 20),))
    waiter.start()
    waiter.join(0.05)
    assert waiter.is_alive()
    requests.done(Extent(0, 4 << 20))
    waiter.join(5)
    assert not waiter.is_alive()


@pytest.mark.parametrize("side", ["source", "target"])
def test_the_first_failure_ends_the_copy_and_what_was_done_stays_known(side):
    source, target = Source(), Target(SIZE, object_size=16)
    until = source.add("one", b"x" * SIZE)
    if side == "source":
        source.broken.add(32 * KIB)
    else:
        target.full_from = 32 * KIB
    with pytest.raises(CopyFailed) as error:
        run(source, target, until)
    assert (error.value.side, error.value.errno) == (side, 5 if side == "source" else 28)
    assert target.taken == []
    source.broken.clear()
    target.full_from = None
    run(source, target, until)
    require_copied(source, target)


def test_the_mark_is_saved_while_a_large_snapshot_is_copied(monkeypatch):
    monkeypatch.setattr(mover, "_SAVED", 0.0)
    monkeypatch.setattr(requests, "MOST", 1)  # so that the first pieces are done first
    source, target = Source(), Target(SIZE, object_size=16)
    until = source.add("one", b"x" * SIZE)
    with pytest.raises(Killed):
        run(source, target, until, lives=60)
    assert mark_of(target).position > 0
    written = target.written
    run(source, target, until)
    require_copied(source, target)
    assert target.written - written < SIZE


def test_somebody_who_makes_a_snapshot_of_the_target_is_noticed():
    source, target = Source(), Target(SIZE)
    until = source.add("one", b"x" * SIZE)
    target.taken.append((1, "mine", b""))
    with pytest.raises(MigrationError, match="made or removed snapshots"):
        run(source, target, until)


@pytest.mark.parametrize("seed", range(20))
def test_what_happens_to_copied_snapshots_is_done_to_those_of_the_target_too(seed):
    chance = random.Random(seed)
    source = random_source(chance, chance.randrange(2, 6))
    target = Target(len(source.history[source.snapshots[-1][0]]), object_size=16)
    target.numbers_reserved = seed % 2 == 1
    for _ in range(4):  # rounds
        until = source.snapshots[-1][0]
        for _ in range(1000):
            try:
                run(source, target, until, lives=chance.choice([None, 3, 9, 30]), follow=True)
            except Killed:
                continue
            break
        require_copied(source, target)
        source.snapshots = [
            (n, name if chance.random() < 0.7 else f"{name}-renamed")
            for n, name in source.snapshots
            if n == until or chance.random() < 0.7
        ]
        if len(source.snapshots) > 2 and chance.random() < 0.5:  # two change names
            (a, one), (b, two) = source.snapshots[:2]
            source.snapshots[:2] = [(a, two), (b, one)]
        source.protected = {n for n, _ in source.snapshots if chance.random() < 0.3}
        content = bytearray(source.history[until])
        content[: GRAIN * chance.randrange(3)] = b""
        source.add(f"later{until}", content)
