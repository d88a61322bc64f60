"""Large images, and changes that object maps miss: what is read of an image to move it."""

import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import Mock

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.devcluster.layout import REPOSITORY
from rbdmigrate.control.lifecycle.verification import sample
from rbdmigrate.control.objects.partial import runs
from rbdmigrate.control.objects.striping import Striping
from rbdmigrate.engine import Settings
from rbdmigrate.engine.reconcile.source_watchdog import SourceWatchdog
from rbdmigrate.model.states import ActKind
from rbdmigrate.worker import inspection
from rbdmigrate.worker.copy import estimate as survey
from rbdmigrate.worker.repair.complete_objects import _Image, changed
from rbdmigrate.worker.verify.compare import ImageReader
from rbdmigrate.worker.verify.extents import allocated, diff
from rbdmigrate.worker.verify.object_map import usable

MIB = 1 << 20
_MAPPED = (
    rbd.RBD_FEATURE_LAYERING
    | rbd.RBD_FEATURE_EXCLUSIVE_LOCK
    | rbd.RBD_FEATURE_OBJECT_MAP
    | rbd.RBD_FEATURE_FAST_DIFF
)
_INVALID = rbd.RBD_FLAG_OBJECT_MAP_INVALID


@pytest.fixture
def rolled_back(client: rados.Rados, pool: str) -> Iterator[rados.Ioctx]:
    """An image ``a`` whose first object changed between ``s2`` and the head by a rollback.

    Its object map has that object as unchanged: it was so at ``s1``, to which it was rolled back.
    """
    with client.open_ioctx(pool) as ioctx:
        rbd.RBD().create(ioctx, "a", 64 * MIB, old_format=False, features=_MAPPED)
        with rbd.Image(ioctx, "a") as image:
            image.write(b"A" * 4096, 0)
            image.write(b"A" * 4096, 8 * MIB)
            image.write(b"A" * 4096, 16 * MIB)
            image.create_snap("s0")
            image.create_snap("s1")
            image.write(b"B" * 4096, 0)
            image.discard(16 * MIB, 4 * MIB)
            image.create_snap("s2")
            image.rollback_to_snap("s1")
        yield ioctx


def test_what_is_compared_has_the_changes_that_object_maps_miss(rolled_back: rados.Ioctx) -> None:
    with rbd.Image(rolled_back, "a", read_only=True) as image:
        mapped = list(diff(image, "s2", (0, 64 * MIB), True, False))
        assert mapped == [(16 * MIB, 4 * MIB)], "the object map does not miss the first object"
        found = list(allocated(image, "s2", int(image.size())))
        assert found == [(0, 4 * MIB), (16 * MIB, 20 * MIB)], "whole objects"


def test_what_an_image_holds_is_known_by_object_maps_also_after_a_rollback(
    rolled_back: rados.Ioctx,
) -> None:
    with rbd.Image(rolled_back, "a", read_only=True) as image:
        assert [begin for begin, _ in allocated(image, None, int(image.size()))] == [
            offset for offset, _ in diff(image, None, (0, 64 * MIB), False, False)
        ]


def test_a_source_that_was_rolled_back_after_its_comparison_snapshot_has_changed(
    rolled_back: rados.Ioctx,
) -> None:
    with rbd.Image(rolled_back, "a", read_only=True) as image:
        side = ImageReader(name="source", ioctx=rolled_back, ident=str(image.id()))
    assert "after the comparison snapshot" in side.changed_since("s2")


def test_an_object_that_only_a_map_has_as_written_is_no_change(
    client: rados.Rados, pool: str
) -> None:
    """A snapshot that is cut off leaves such a map; here the map of another snapshot is invalid."""
    with client.open_ioctx(pool) as ioctx:
        rbd.RBD().create(ioctx, "a", 16 * MIB, old_format=False, features=_MAPPED)
        with rbd.Image(ioctx, "a") as image:
            ident = str(image.id())
            image.write(b"A" * 4096, 0)
            image.create_snap("older")
            older = next(iter(image.list_snaps()))["id"]
            image.write(b"B" * 4096, 0)
            written = ioctx.read(f"rbd_object_map.{ident}", MIB)
            image.create_snap("point")
        ioctx.write_full(f"rbd_object_map.{ident}", written)
        flags = struct.pack("<QQQ", _INVALID, _INVALID, older)
        ioctx.execute(f"rbd_header.{ident}", "rbd", "set_flags", flags)
        with rbd.Image(ioctx, "a", read_only=True) as image:
            assert not usable(image)
            assert list(diff(image, "point", (0, 16 * MIB), True, False)) == [(0, 4 * MIB)]
        side = ImageReader(name="source", ioctx=ioctx, ident=ident)
        assert side.changed_since("point") == ""
        with rbd.Image(ioctx, "a") as image:
            image.write(b"B", 5 * MIB)
        said = side.changed_since("point")
        assert "after the comparison snapshot" in said
        assert f"bytes at the byte {4 * MIB})" in said, "the object begins there"


def test_objects_that_take_several_writes_are_known_though_object_maps_miss_them(
    rolled_back: rados.Ioctx,
) -> None:
    striping = Striping(4 * MIB, 4 * MIB)
    with rbd.Image(rolled_back, "a", read_only=True) as image:
        assert changed(image, "s2", striping, range(16), 64 * MIB) == {0, 4}
        ident = str(image.id())
        carried = {int(snap["id"]): int(snap["id"]) + 10 for snap in image.list_snaps()}
    with ExitStack() as stack:
        image_source = _Image(stack, rolled_back, ident)
        several = image_source.several(range(16), striping, carried)
    assert several[0] == max(carried.values())
    assert 2 not in several, "it did not change"


def test_differences_are_whole_sets_of_objects_with_fancy_striping(
    client: rados.Rados, pool: str
) -> None:
    with client.open_ioctx(pool) as ioctx:
        rbd.RBD().create(
            ioctx, "f", 64 * MIB, order=22, old_format=False, features=_MAPPED,
            stripe_unit=MIB, stripe_count=4,
        )  # fmt: skip
        with rbd.Image(ioctx, "f") as image:
            image.create_snap("s")
            image.write(b"A" * 4096, 18 * MIB)
            assert list(allocated(image, "s", 64 * MIB)) == [(16 * MIB, 32 * MIB)]


class Alternating:
    """Every other object of ``count`` has data: the most that can be to keep."""

    def __init__(self, count: int) -> None:
        self._count = count

    def stat(self) -> "dict[str, int]":
        return {"order": 20}

    def stripe_count(self) -> int:
        return 1

    def diff_iterate(self, offset: int, length: int, before: Any, note: Any, **_: Any) -> None:
        for number in range(0, self._count, 2):
            note(number << 20, 1 << 20, True)


COUNT = 1 << 14  # objects; 2 ** 24 of them are 16 TiB in objects of 1 MiB


def bytes_per_object(gather: "Callable[[], Any]") -> float:
    tracemalloc.start()
    try:
        kept = gather()
        assert kept is not None
        return tracemalloc.get_traced_memory()[1] / COUNT
    finally:
        tracemalloc.stop()


def test_what_is_kept_of_an_image_is_a_few_bytes_an_object() -> None:
    image: Any = Alternating(COUNT)
    size = COUNT << 20

    def to_copy() -> Any:
        costs = survey.CopyCost(size=size, object_size=1 << 20)
        for offset, length in diff(image, None, (0, size), True, False):
            costs.add(offset, length)
        return costs

    def compared(fraction: float) -> Any:
        extents = allocated(image, "before", size)
        return extents, sample(extents.blocks(), fraction, 1, "head")

    assert bytes_per_object(to_copy) < 24
    assert bytes_per_object(lambda: compared(1.0)) < 48
    assert bytes_per_object(lambda: compared(0.05)) < 48


def test_a_full_image_takes_no_room_at_all() -> None:
    image: Any = Alternating(COUNT)
    image.diff_iterate = lambda o, n, b, note, **_: [
        note(k << 20, 1 << 20, True) for k in range(COUNT)
    ]
    whole = allocated(image, None, COUNT << 20)
    assert list(whole) == [(0, COUNT << 20)]
    assert len(diff(image, None, (0, COUNT << 20), True, False)) == 1


def test_an_image_that_takes_too_long_to_count_is_not_counted(
    client: rados.Rados, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.open_ioctx(pool) as ioctx:
        rbd.RBD().create(ioctx, "huge", 16 << 40, old_format=False, features=_MAPPED)
        rbd.RBD().create(ioctx, "full", 1 << 30, order=12, old_format=False, features=_MAPPED)
        with rbd.Image(ioctx, "huge", read_only=True) as image:
            assert inspection._to_copy(image, flatten=False) == 0
        with rbd.Image(ioctx, "full") as image:
            for number in range(3000):
                image.aio_write(b"x" * 4096, number << 12, lambda _: None)
            image.flush()
            assert inspection._to_copy(image, flatten=False) == 3000 << 12
            count = inspection._Count(0.0)
            assert not count.view(image, None, 1 << 30, flatten=False)
            assert count._told == 1024
            monkeypatch.setattr(inspection, "_COUNTING", 0.0)
            assert inspection._to_copy(image, flatten=False) is None


@pytest.mark.parametrize(
    "act", [ActKind.EXECUTE, ActKind.VERIFY, ActKind.COMPLETE_OBJECTS, ActKind.COMMIT]
)
@pytest.mark.parametrize("imported", [None, Mock(name="import")])
def test_a_worker_that_takes_too_much_memory_is_stopped_whatever_it_does(act, imported) -> None:
    slot = Mock(job=Mock(act=act))
    slot.memory.return_value = 2 << 30
    slot.job.tracked.progressed_at = float("inf")
    slot.job.tracked.migration.imported = imported
    watch = SourceWatchdog(Settings)
    watch.look([slot])
    (job, message, failure), _ = slot.interrupt.call_args
    assert job is slot.job
    assert "took more memory than the option worker_memory allows" in message
    assert not failure.transient
    slot.interrupt.reset_mock()
    slot.memory.return_value = 200 << 20
    watch.look([slot])
    slot.interrupt.assert_not_called()


def test_numbers_are_looked_at_in_few_runs() -> None:
    assert list(runs([])) == []
    assert list(runs({0})) == [range(1)]
    assert list(runs({5, 6, 60})) == [range(5, 61)]
    assert list(runs({5, 6, 600})) == [range(5, 7), range(600, 601)]


# In a process of its own, whose librbd threads no other test has called back from.
_COUNT_STATES = """
import sys, threading, rados, rbd
from rbdmigrate.worker.copy.progress import objects

def count(ioctx, on_object):
    # Calls of a progress function, and how often the interpreter knew nothing of the thread.
    local, found = threading.local(), []
    def on_progress(done, total):
        on_object(done, total)
        found.append(hasattr(local, "known"))
        local.known = True
        return 0
    rbd.RBD().create(ioctx, "objects", 200 << 20, order=20)
    rbd.RBD().remove(ioctx, "objects", on_progress=on_progress)
    return len(found), found.count(False)

client = rados.Rados(conffile=sys.argv[1], name="client.admin")
client.connect()
with client.open_ioctx(sys.argv[2]) as ioctx:
    print(*count(ioctx, lambda done, total: 0), *count(ioctx, objects(lambda progress: None)))
"""


def test_the_interpreter_knows_the_threads_of_librbd_from_one_object_to_the_next(
    cluster: Cluster, pool: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT_STATES, str(cluster.conf), pool],
        env={**cluster.env, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    plain, unknown, calls, still_unknown = map(int, done.stdout.split())
    assert plain >= 200
    assert unknown == plain, "as librbd calls a function"
    assert calls >= 200
    assert still_unknown <= 8, "once for each thread"
