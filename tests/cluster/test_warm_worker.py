"""The worker's acts of the method warm, with workers that are killed between any two steps."""

import contextlib
import json
import struct
import subprocess
import sys
import time
from dataclasses import replace
from errno import EBUSY, EEXIST
from pathlib import Path

import pytest
import rbd

from qa.model.killed_worker import ActFailed, answer_of
from qa.model.warm_trial import run_trial
from qa.workload.images import (
    FEATURES,
    KIB,
    content,
    make_image,
    names,
    opened,
    place,
    remove,
    trash,
)
from rbdmigrate.cluster import headers
from rbdmigrate.cluster.class_call import call_to_write
from rbdmigrate.cluster.client import Identity, parse_addresses
from rbdmigrate.cluster.fence import fence
from rbdmigrate.cluster.worker_process import WorkerProcess
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.questions import MeasureWritten
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.rounds import hidden_name
from rbdmigrate.model.verification import Outcome, Verification, Verify

pytestmark = pytest.mark.timeout(900)  # each kill starts a worker again, on a busy machine in 10 s

FORWARD = (
    "cutover.before 1 name", "cutover.between 1 name", "cutover.after 1 name",
    "cutover.before 1 lock", "cutover.after 1 lock",
    "cutover.before 1 publish", "cutover.after 1 publish", "cutover.after 1 complete",
)  # fmt: skip
SNAPSHOTS = (
    "warm.before 1 snapshot", "warm.after 1 snapshot",
    "snapshot.after 1 map", "snapshot.after 2 map",
    "mover.before 1 snapshot", "mover.after 1 snapshot",
)  # fmt: skip
# The head's map then says of objects that they were written since the snapshot, which were not:
# that is safe, but `rbd object-map check` calls it wrong, as it does when librbd is cut off there.
CAUTIOUS = ("snapshot.after 1 header", "snapshot.after 2 header")
FAST = ("layering", "exclusive-lock", "object-map", "fast-diff")
BACK = (*FORWARD, "back.before 1 mark", "back.after 1 mark", "warm.before 1 remove")


def ends_of(client, number, source, target):
    """Both ends, whose target has no id yet."""
    places = []
    for spec in (source, target):
        pool, name = spec.split("/")
        places.append(Place(pool, "", name, client.pool_lookup(pool)))
    with opened(client, source) as image:
        places[0] = replace(places[0], image_id=image.id())
    return acts.WarmEnds(f"{number:012x}", *places)


def write(client, spec, data, offset):
    with opened(client, spec, read_only=False) as image:
        image.write(data, offset)


def wait_until(there, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


LATE = """
import sys, rados, rbd
client = rados.Rados(conffile=sys.argv[1], name="client.admin", conf={"rbd_cache": "false"})
client.connect()
with client.open_ioctx(sys.argv[2]) as ioctx:
    with rbd.Image(ioctx, image_id=sys.argv[3]) as image:
        print("opened", flush=True)
        image.write(b"late", 0)
print("written", flush=True)
"""


class Chosen:
    """In place of a random choice: this point."""

    def __init__(self, point):
        self.point = point

    def random(self):
        return 0.0

    def choice(self, points):
        return self.point


def test_what_was_written_since_a_snapshot_is_measured_while_a_client_writes(
    cluster, client, pools
):
    maps, without = (f"{pools[0]}/{name}" for name in ("maps", "without"))
    make_image(client, maps, snapshots=("one",))
    make_image(client, without, snapshots=("one",), features=("layering", "exclusive-lock"))
    process = WorkerProcess(Identity("client.admin", str(cluster.conf), ""))

    def measured(spec, snapshot="one"):
        pool, name = spec.split("/")
        with opened(client, spec) as image:
            there = Place(pool, "", name, client.pool_lookup(pool), image.id())
        return process.run(MeasureWritten(there, snapshot), lambda report: None).answer.bytes

    try:
        with opened(client, maps, read_only=False) as image:
            image.create_snap("two")
            image.flush()
            assert measured(maps, "two") == 0
            image.write(b"x", 3 * 256 * KIB)
            image.write(b"x" * 1024, 9 * 256 * KIB - 512)
            image.flush()
            assert measured(maps, "two") == 3 * 256 * KIB
            assert measured(maps, "none") is None
        assert measured(without) is None
    finally:
        process.kill()
        process.reap()


def half_remove(client, spec, ident, chosen):
    """What a worker leaves that is killed after librbd's first write of a removal."""
    with place(client, spec) as ioctx, rbd.Image(ioctx, image_id=ident) as image:
        numbers = [s["id"] for s in image.list_snaps() if chosen in s["name"]]
        assert numbers
        for number in numbers:
            argument = struct.pack("<Q", number)
            call_to_write(ioctx, f"rbd_header.{ident}", "rbd", "snapshot_trash_add", argument)


def of_each_kind(client, spec):
    """The snapshots, also those whose removal was begun."""
    with opened(client, spec) as image:
        return [s["name"] for s in image.list_snaps()]


@pytest.mark.parametrize("end", ["abort", "abort after the cutover", "commit"])
def test_snapshots_that_were_removed_in_part_are_removed(client, pools, worker, end):
    source, target = f"{pools[0]}/src", f"{pools[1]}/dst"
    make_image(client, source, snapshots=("one", "two"), protect=("one",))
    ends = ends_of(client, 61, source, target)
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    half_remove(client, source, ends.source.image_id, "rbd_migration")
    worker.run(ends, acts.Execute())
    assert len(of_each_kind(client, source)) == 3  # one, two, and that of the last round
    if end != "abort":
        worker.run(ends, acts.CutOver())
    gone, ident = (source, ends.source.image_id) if end == "commit" else (target, made.target_id)
    half_remove(client, gone, ident, "two")
    if end == "abort":
        half_remove(client, source, ends.source.image_id, "rbd_migration")
    worker.run(ends, acts.Commit() if end == "commit" else acts.Abort())
    left = target if end == "commit" else source
    removed = end == "abort after the cutover"  # as if a client of the target had removed it
    assert of_each_kind(client, left) == (["one"] if removed else ["one", "two"])
    assert [names(client, pool) for pool in pools] == (
        [[], ["dst"]] if end == "commit" else [["src"], []]
    )
    assert [trash(client, pool) for pool in pools] == [[], []]
    with opened(client, left, read_only=False) as image:
        image.unprotect_snap("one")


@pytest.mark.parametrize("in_place", [False, True], ids=["other name", "in place"])
def test_a_worker_that_dies_between_any_two_steps_of_a_cutover(client, pools, worker, in_place):
    one, other = pools
    source = f"{one}/src"
    target = source if in_place else f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=("one",))
    for number, point in enumerate((*FORWARD, *BACK)):
        forward = number < len(FORWARD)
        ends = ends_of(client, number, source, target)
        made = worker.run(ends, acts.Prepare(LayoutOptions(object_size=1 << 18)))
        ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
        worker.run(ends, acts.Execute())
        write(client, source, b"last" * 128, 4096 * number)
        wanted = {view: content(client, source, view) for view in ("one", None)}
        kills = worker.kills
        if forward:
            worker.arm(Chosen(point), (), 1.0)
        worker.run(ends, acts.CutOver())
        assert {view: content(client, target, view) for view in wanted} == wanted, point
        assert in_place or names(client, one) == [], point
        write(client, target, b"back" * 128, 4096 * number + 2048)
        wanted[None] = content(client, target)
        if not forward:
            worker.arm(Chosen(point), (), 1.0)
        worker.run(ends, acts.Abort())
        assert worker.kills == kills + 1, f"{point} was not reached"
        assert {view: content(client, source, view) for view in wanted} == wanted, point
        assert (names(client, one), trash(client, one)) == (["src"], []), point
        assert in_place or (names(client, other), trash(client, other)) == ([], []), point


def test_an_image_of_somebody_else_under_the_hidden_name_is_kept(client, pools, worker):
    one, other = pools
    make_image(client, f"{one}/src", size=1 << 20, snapshots=())
    ends = ends_of(client, 77, f"{one}/src", f"{other}/moved")
    taken = f"{other}/{hidden_name(ends.id)}"
    make_image(client, taken, size=1 << 20, snapshots=())
    before = content(client, taken)
    for act in (acts.Prepare(LayoutOptions()), acts.UndoPrepare()):
        with pytest.raises(ActFailed, match="is that of another image; rename it") as error:
            worker.run(ends, act)
        assert error.value.errno == EEXIST
        assert content(client, taken) == before
    with place(client, taken) as ioctx:
        rbd.RBD().rename(ioctx, hidden_name(ends.id), "theirs")
    worker.run(ends, acts.Prepare(LayoutOptions()))
    assert content(client, f"{other}/theirs") == before


def test_a_source_that_somebody_migrates_with_plain_rbd_is_left_to_them(client, pools, worker):
    one, other = pools
    source, stock = f"{one}/src", f"{other}/stock"
    make_image(client, source, size=1 << 20, snapshots=("one",))
    ends = ends_of(client, 78, source, f"{other}/moved")
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    before = content(client, source)
    with place(client, source) as old, place(client, stock) as new:
        rbd.RBD().migration_prepare(old, "src", new, "stock")
    for act in (acts.Execute(), acts.Arm(), acts.CutOver(), acts.Abort()):
        with pytest.raises(ActFailed, match="prepared with plain `rbd`") as error:
            worker.run(ends, act)
        assert error.value.errno == EBUSY
    with place(client, stock) as new:
        rbd.RBD().migration_abort(new, "stock")
    assert content(client, source) == before
    worker.run(ends, acts.CutOver())
    assert content(client, f"{other}/moved") == before


def test_a_worker_takes_little_memory_whatever_the_size_of_the_image(client, pools, worker):
    """4 TiB, with data in all parts of it: two rounds, the cutover and the comparison after it."""
    one, other = pools
    with place(client, f"{one}/src") as ioctx:
        rbd.RBD().create(ioctx, "src", 4 << 40, features=sum(FEATURES[f] for f in FAST))
    written = {number * (1 << 36): bytes([number + 1]) * 4096 for number in range(64)}
    with opened(client, f"{one}/src", read_only=False) as image:
        for at, data in written.items():
            image.write(data, at)
    ends = ends_of(client, 79, f"{one}/src", f"{other}/moved")
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    write(client, f"{one}/src", b"last" * 1024, 1 << 41)
    written[1 << 41] = b"last" * 1024
    point = worker.run(ends, acts.CutOver()).comparison_snapshot
    compared = Verification(Verify.FULL, 1, 1.0, time.time())
    done = worker.run(ends, acts.Verify(compared, comparison_snapshot=point))
    assert done.verification.outcome is Outcome.PASSED
    status = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii")
    most = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    assert int(most.split()[1]) * 1024 < 200e6
    with opened(client, f"{other}/moved") as image:
        assert {at: image.read(at, 4096) for at in written} == written


@pytest.mark.parametrize("point", CAUTIOUS)
def test_a_snapshot_that_was_cut_off_does_not_spoil_the_comparison(client, pools, worker, point):
    source = f"{pools[0]}/src"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=())
    ends = ends_of(client, 80, source, f"{pools[1]}/moved")
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    write(client, source, b"last" * 1024, 8192)
    worker.arm(Chosen(point), (), 1.0)
    cut = worker.run(ends, acts.CutOver(clients_wait=True)).comparison_snapshot
    assert worker.kills == 1
    compared = Verification(Verify.FULL, 1, 1.0, time.time())
    done = worker.run(ends, acts.Verify(compared, comparison_snapshot=cut))
    assert (done.verification.outcome, done.verification.reasons) == (Outcome.PASSED, ())


ALONE = ("", "alone.after 1 rollback", "alone.after 1 name")


def test_where_the_source_is_gone_its_last_complete_round_gets_the_targets_name(
    client, pools, worker
):
    one, other = pools
    source, target = f"{one}/src", f"{other}/moved"
    for number, point in enumerate(ALONE):
        make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=("one",))
        ends = ends_of(client, 300 + number, source, target)
        made = worker.run(ends, acts.Prepare(LayoutOptions()))
        ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
        worker.run(ends, acts.Execute())
        wanted = {view: content(client, source, view) for view in ("one", None)}
        write(client, source, b"never copied", 0)
        write(client, f"{other}/rbd_migration.{ends.id}", b"a part of the next round", 4096)
        remove(client, source)
        kills = worker.kills
        if point:
            worker.arm(Chosen(point), (), 1.0)
        worker.run(ends, acts.Abort())
        assert worker.kills == kills + bool(point), f"{point} was not reached"
        assert (names(client, one), names(client, other)) == ([], ["moved"])
        assert {view: content(client, target, view) for view in wanted} == wanted
        with opened(client, target) as image:
            assert [snapshot["name"] for snapshot in image.list_snaps()] == ["one"]
            assert not [key for key, _ in image.metadata_list() if "rbd_migration" in key]
        remove(client, target)


def test_a_source_that_is_gone_before_a_round_was_complete_leaves_nothing(client, pools, worker):
    one, other = pools
    source = f"{one}/src"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=())
    ends = ends_of(client, 310, source, f"{other}/moved")
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    remove(client, source)
    worker.run(ends, acts.Abort())
    assert names(client, other) == []


def test_nobody_gets_the_name_of_an_image_while_a_cutover_is_undone(client, pools, worker):
    """A client that opens the source during the cutover makes it fail, and nothing is lost."""
    one, other = pools
    source, target = f"{one}/src", f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=())
    ends = ends_of(client, 100, source, target)
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    with opened(client, source, read_only=False) as image:
        image.write(b"x", 0)
        with pytest.raises(ActFailed, match="is open for writing by client"):
            worker.run(ends, acts.CutOver())
        image.write(b"y", 1)
    assert names(client, one) == ["src"]
    make_image(client, target, size=1 << 16, object_size=1 << 16, snapshots=())
    with pytest.raises(ActFailed, match="Another image was given the name"):
        worker.run(ends, acts.CutOver())
    assert (names(client, one), trash(client, one)) == (["src"], [])
    write(client, source, b"z", 2)
    assert content(client, source)[:3] == b"xyz"
    worker.run(ends, acts.Abort())
    assert names(client, other) == ["moved"]


def test_snapshots_or_metadata_that_change_during_the_cutover_undo_it(client, pools, worker):
    """The target has the snapshots and the metadata of a moment before."""
    one, other = pools
    source, target = f"{one}/src", f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16)
    ends = ends_of(client, 120, source, target)
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    changes = (
        lambda image: image.metadata_set("key", "value"),
        lambda image: image.rename_snap("two", "renamed"),
        lambda image: image.remove_snap("renamed"),
    )
    # For a snapshot librbd takes the lock from us, and may have it still.
    refused = "its snapshots or its metadata during the cutover|is open for writing by client"
    for change in changes:
        with worker.held_at("cutover.before", "lock") as held:
            cutover = worker.begin(ends, acts.CutOver())
            wait_until(held.waits)
            with (
                place(client, source) as ioctx,
                rbd.Image(ioctx, image_id=ends.source.image_id) as image,
            ):
                change(image)
        with pytest.raises(ActFailed, match=refused):
            answer_of(cutover)
        assert (names(client, one), trash(client, one)) == (["src"], [])
    worker.run(ends, acts.CutOver())
    with opened(client, target) as image:
        users = [s["name"] for s in image.list_snaps() if not s["name"].startswith(".rbd_mig")]
        assert (users, image.metadata_get("key")) == (["one"], "value")


@pytest.mark.parametrize("in_place", [False, True], ids=["other name", "in place"])
@pytest.mark.parametrize("killed", ["", "second thoughts", "taken back"])
def test_a_client_that_opens_the_source_in_the_last_moment_keeps_it(
    cluster, client, pools, worker, in_place, killed
):
    """It found the name before that was taken, and watches after the last look at watchers."""
    one, other = pools
    source = f"{one}/src"
    target = source if in_place else f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=())
    ends = ends_of(client, 200, source, target)
    made = worker.run(ends, acts.Prepare(LayoutOptions(object_size=1 << 18)))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    if killed:
        worker.arm(Chosen(f"cutover.after 1 {killed}"), (), 1.0)
    with worker.held_at("cutover.before", "publish") as held:
        cutover = worker.begin(ends, acts.CutOver())
        wait_until(held.waits)
        late = subprocess.Popen(
            [sys.executable, "-c", LATE, str(cluster.conf), one, ends.source.image_id],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert late.stdout.readline() == "opened\n"
    try:
        # After "taken back" the client may have closed it before the next worker tries again.
        refused = pytest.raises(ActFailed, match="is open for writing by client")
        with contextlib.suppress(ActFailed) if killed == "taken back" else refused:
            answer_of(cutover)
        assert late.communicate(timeout=60)[0] == "written\n"  # it waited, and did not fail
    finally:
        late.kill()
        late.wait()
    assert worker.kills == bool(killed)
    worker.run(ends, acts.CutOver())
    assert content(client, target)[:4] == b"late"
    write(client, target, b"on", 0)


def require_maps(cluster, client, spec, exact=True):
    """The object maps of the head and of each snapshot are there, hold, and are the only ones."""
    with opened(client, spec) as image:
        snapshots, ident = list(image.list_snaps()), image.id()
    for view in [spec, *(f"{spec}@{snapshot['name']}" for snapshot in snapshots)]:
        if exact:
            cluster.rbd("object-map", "check", "--no-progress", view)
        assert "invalid" not in cluster.rbd("info", view), view
    maps = {f"rbd_object_map.{ident}.{snapshot['id']:016x}" for snapshot in snapshots}
    with place(client, spec) as ioctx:
        there = {item.key for item in ioctx.list_objects()}
    assert {each for each in there if each.startswith(f"rbd_object_map.{ident}.")} == maps


@pytest.mark.parametrize(
    "points", [("", *SNAPSHOTS, *CAUTIOUS), FORWARD], ids=["snapshot", "names"]
)
def test_an_armed_cutover_keeps_what_was_written_after_it(cluster, client, pools, worker, points):
    """Also when the worker that was armed dies, and another one cuts over."""
    one, other = pools
    source, target = f"{one}/src", f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=())
    for number, point in enumerate(points):
        ends = ends_of(client, 400 + number, source, target)
        made = worker.run(ends, acts.Prepare(LayoutOptions()))
        ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
        with opened(client, source, read_only=False) as image:
            image.write(b"before" * 100, 4096 * number)
            armed = worker.run(ends, acts.Arm())
            assert armed.last.rounds == 2
            with pytest.raises(ActFailed, match="is open for writing by client"):
                worker.run(ends, acts.CutOver())
            image.write(b"after" * 100, 4096 * number + 1024)
        worker.run(ends, acts.Arm())
        write(client, source, b"last" * 128, 4096 * number + 2048)
        wanted = content(client, source)
        kills = worker.kills
        worker.arm(Chosen(point), (), 1.0 if point else 0.0)
        done = worker.run(ends, acts.CutOver(clients_wait=True))
        assert content(client, target) == wanted, point
        require_maps(cluster, client, target, point not in CAUTIOUS)
        assert worker.kills == kills + bool(point), f"{point} was not reached"
        assert point or {"lock", "published"} <= {step.name for step in done.steps}
        worker.run(ends, acts.Abort(clients_wait=True))
        assert content(client, source) == wanted, point
        require_maps(cluster, client, source, point not in CAUTIOUS)


KILLED = """
import sys, time, rados, rbd
conf, pool, image = sys.argv[1:]
client = rados.Rados(conffile=conf)
client.connect()
opened = rbd.Image(client.open_ioctx(pool), image)
opened.write(b"its last words", 0)
opened.flush()
print(client.get_addrs(), flush=True)
time.sleep(300)
"""


def test_the_lock_of_a_client_that_was_killed_is_no_obstacle(cluster, client, pools, worker):
    one, other = pools
    source, target = f"{one}/src", f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=())
    ends = ends_of(client, 300, source, target)
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    worker.run(ends, acts.Execute())
    command = [sys.executable, "-c", KILLED, str(cluster.conf), *source.split("/")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        addresses = parse_addresses(killed.stdout.readline())
        killed.kill()
    fence(client, addresses, 60.0)  # its watch goes at once, not after half a minute
    with place(client, source) as ioctx:
        assert headers.lock_holder(ioctx, ends.source.image_id) is not None
    cluster.wait_for(lambda: not watchers(client, source), 60, "the end of its watch")
    worker.run(ends, acts.CutOver())
    assert content(client, target)[:14] == b"its last words"


def watchers(client, spec):
    with opened(client, spec) as image:
        return list(image.watchers_list())


def remove_lock(cluster, spec):
    """As the documentation says, with plain rbd."""
    (lock,) = json.loads(cluster.rbd("lock", "ls", spec, "--format", "json"))
    assert lock["id"] == "rbd_migration"
    cluster.rbd("lock", "rm", spec, lock["id"], lock["locker"])


def round_snapshots(client, spec):
    with opened(client, spec) as image:
        names_of = [str(snapshot["name"]) for snapshot in image.list_snaps()]
    return [name for name in names_of if name.startswith(".rbd_migration.")]


def test_plain_rbd_undoes_and_finishes_what_the_module_left(cluster, client, pools, worker):
    one, other = pools
    source, target = f"{one}/src", f"{other}/moved"
    make_image(client, source, size=1 << 20, object_size=1 << 16, snapshots=("one",))
    wanted = content(client, source)
    for number in (200, 201):
        ends = ends_of(client, number, source, target)
        made = worker.run(ends, acts.Prepare(LayoutOptions()))
        ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
        worker.run(ends, acts.Execute())
        hidden = f"{other}/rbd_migration.{ends.id}"
        if number == 200:
            for name in round_snapshots(client, source):
                cluster.rbd("snap", "rm", f"{source}@{name}")
            cluster.rbd("snap", "purge", hidden, "--no-progress")
            cluster.rbd("rm", hidden, "--no-progress")
            assert (names(client, one), names(client, other)) == (["src"], [])
    worker.run(ends, acts.CutOver())
    before = f"{one}/before"
    cluster.rbd("trash", "restore", f"{one}/{ends.source.image_id}", "--image", "before")
    remove_lock(cluster, before)
    cluster.rbd("snap", "purge", before, "--no-progress")
    cluster.rbd("rm", before, "--no-progress")
    for name in round_snapshots(client, target):
        cluster.rbd("snap", "rm", f"{target}@{name}")
    cluster.rbd("image-meta", "remove", target, "rbd_migration.warm")
    assert (names(client, one), trash(client, one), names(client, other)) == ([], [], ["moved"])
    assert content(client, target) == wanted


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_random_images_with_a_client_at_work_and_workers_that_die(client, pools, worker, seed):
    trial = run_trial(client, pools, worker, seed, 0.8)
    assert trial.wrong == [], trial.about
    assert trial.end
