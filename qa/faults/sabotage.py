"""Checks that these tests detect damage: each kind is done on purpose and must be found."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Callable

import rados
import rbd

from qa.devcluster.processes import MARK
from qa.faults import aftermath, checks, journey, managers, records, sweep
from qa.faults.bench import SOURCE_POOL, TARGET_POOL, Bench
from qa.faults.cases import Case
from qa.faults.images import PLAIN, PROTECTED, VARIANTS, Sample, make_sample, removed_at_end
from qa.faults.results import NOT_REACHED, Result
from rbdmigrate.cluster.omap import omap_pages
from rbdmigrate.cluster.store import HISTORY, OBJECT
from rbdmigrate.model.migration_codec import decode
from rbdmigrate.model.states import State

_Damage = Callable[[Bench, Sample], AbstractContextManager[None]]
_STRANGER = "127.0.0.1:0/424242"


def cases() -> "list[Case]":
    """Return one case: all kinds of damage."""
    return [Case("sabotage: damage done on purpose is found", run, quick=True)]


def run(bench: Bench, name: str) -> Result:
    """Migrate an image without faults, then damage it in each way, and undo the damage."""
    begun = time.monotonic()
    managers.wait_for_all(bench.cluster)
    result = Result(name)
    sample = make_sample(bench, VARIANTS["pool"])
    with removed_at_end(bench, sample):
        journey.begin(bench, sample, "committed").join()
        if not journey.wait(lambda: journey.ended(bench, [sample]), journey.GOAL_TIMEOUT):
            result.findings += journey.tell(bench, [sample])
            return result
        result.findings += checks.findings(bench, [sample], State.COMMITTED)
        if result.findings:
            return result  # an image that is already damaged proves nothing
        for damage, words in _DAMAGES.items():
            with damage(bench, sample):
                found = checks.findings(bench, [sample], State.COMMITTED, patience=0)
            if not any(words in text for text in found):
                result.findings.append(f"not found: {damage.__name__[1:]}; found: {found}")
        result.findings += checks.findings(bench, [sample], State.COMMITTED)
    result.findings += [*_outside_images(bench)]
    result.met = f"{len(_DAMAGES) + 3} kinds"
    result.seconds = time.monotonic() - begun
    return result


def _outside_images(bench: Bench) -> Iterator[str]:
    with _stray_worker(bench):
        if not managers.stray_workers(bench.cluster):
            yield "not found: a stray worker"
    with _blocklist_entry(bench):
        if _STRANGER not in aftermath.our_entries(bench):
            yield "not found: a blocklist entry"
    never = sweep.Fault("store.write.before", "no-such-state", 1, variants=("pool",))
    if sweep.run(bench, "never", never).verdict != NOT_REACHED:
        yield "a point that was never passed counts as reached"


@contextlib.contextmanager
def _one_byte_of_the_head(bench: Bench, sample: Sample) -> Iterator[None]:
    with _opened(bench, sample) as image:
        before = image.read(4096, 1)
        image.write(bytes([before[0] ^ 1]), 4096)
        yield
        image.write(before, 4096)


@contextlib.contextmanager
def _one_byte_of_a_snapshot(bench: Bench, sample: Sample) -> Iterator[None]:
    """Replace a snapshot by one of the head with the same name."""
    with _opened(bench, sample) as image:
        image.rename_snap(PLAIN, "kept")
        image.create_snap(PLAIN)
        yield
        image.remove_snap(PLAIN)
        image.rename_snap("kept", PLAIN)


@contextlib.contextmanager
def _a_snapshot_too_many(bench: Bench, sample: Sample) -> Iterator[None]:
    with _opened(bench, sample) as image:
        image.create_snap("more")
        yield
        image.remove_snap("more")


@contextlib.contextmanager
def _protection(bench: Bench, sample: Sample) -> Iterator[None]:
    with _opened(bench, sample) as image:
        image.unprotect_snap(PROTECTED)
        yield
        image.protect_snap(PROTECTED)


@contextlib.contextmanager
def _size(bench: Bench, sample: Sample) -> Iterator[None]:
    with _opened(bench, sample) as image:
        image.resize(sample.size + 1)
        yield
        image.resize(sample.size)


@contextlib.contextmanager
def _a_held_lock(bench: Bench, sample: Sample) -> Iterator[None]:
    with _opened(bench, sample) as image:
        image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
        yield


@contextlib.contextmanager
def _an_open_image(bench: Bench, sample: Sample) -> Iterator[None]:
    with _opened(bench, sample):
        yield


@contextlib.contextmanager
def _the_source(bench: Bench, sample: Sample) -> Iterator[None]:
    with bench.ioctx(*sample.source[:2]) as ioctx:
        rbd.RBD().create(ioctx, sample.name, 1 << 20)
        yield
        rbd.RBD().remove(ioctx, sample.name)


@contextlib.contextmanager
def _a_trash_entry(bench: Bench, sample: Sample) -> Iterator[None]:
    with bench.ioctx(SOURCE_POOL) as ioctx:
        rbd.RBD().create(ioctx, "rubbish", 1 << 20)
        ident = next(i["id"] for i in rbd.RBD().list2(ioctx) if i["name"] == "rubbish")
        rbd.RBD().trash_move(ioctx, "rubbish")
        yield
        rbd.RBD().trash_remove(ioctx, ident)


@contextlib.contextmanager
def _an_orphan_object(bench: Bench, sample: Sample) -> Iterator[None]:
    with bench.ioctx(SOURCE_POOL) as ioctx:
        oid = f"rbd_data.{sample.ident}.0000000000000000"
        ioctx.write_full(oid, b"x")
        yield
        ioctx.remove_object(oid)


@contextlib.contextmanager
def _a_name_without_an_image(bench: Bench, sample: Sample) -> Iterator[None]:
    with bench.ioctx(TARGET_POOL) as ioctx:
        ioctx.write_full("rbd_id.nobody", b"x")
        yield
        ioctx.remove_object("rbd_id.nobody")


@contextlib.contextmanager
def _a_record_left(bench: Bench, sample: Sample) -> Iterator[None]:
    with bench.ioctx(*sample.target[:2]) as ioctx, _copied(ioctx, sample, OBJECT, ""):
        yield


@contextlib.contextmanager
def _a_second_record(bench: Bench, sample: Sample) -> Iterator[None]:
    with bench.ioctx(*sample.target[:2]) as ioctx, _copied(ioctx, sample, HISTORY, "2"):
        yield


_DAMAGES: "dict[_Damage, str]" = {
    _one_byte_of_the_head: "the content of head differs",
    _one_byte_of_a_snapshot: "the content of plain differs",
    _a_snapshot_too_many: "has the snapshots",
    _protection: "is not protected",
    _size: "bytes, not",
    _a_held_lock: "is locked by",
    _an_open_image: "is open at",
    _the_source: "is still there",
    _a_trash_entry: "in the trash",
    _an_orphan_object: "belongs to no image",
    _a_name_without_an_image: "rbd_id.nobody belongs to no image",
    _a_record_left: "left under way",
    _a_second_record: "2 records",
}


@contextlib.contextmanager
def _opened(bench: Bench, sample: Sample) -> Iterator[rbd.Image]:
    with bench.ioctx(*sample.target[:2]) as ioctx, rbd.Image(ioctx, sample.target[2]) as image:
        yield image


@contextlib.contextmanager
def _copied(ioctx: rados.Ioctx, sample: Sample, oid: str, more: str) -> Iterator[None]:
    """Copy the sample's record in the history to ``oid`` under another key."""
    ended = omap_pages(ioctx, HISTORY, "migration.")
    key, raw = next((key, raw) for key, raw in ended if records.is_of(decode(raw), sample))
    with rados.WriteOpCtx() as op:
        ioctx.set_omap(op, (key + more,), (raw,))
        ioctx.operate_write_op(op, oid)
    yield
    with rados.WriteOpCtx() as op:
        ioctx.remove_omap_keys(op, (key + more,))
        ioctx.operate_write_op(op, oid)


@contextlib.contextmanager
def _stray_worker(bench: Bench) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "rbdmigrate.worker.main"],
        env={
            MARK: str(bench.cluster.layout.root),
            "RBD_MIGRATION_FAULT_DIR": str(bench.cluster.faults),
        },
    )
    try:
        time.sleep(0.2)  # until it is that program
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _blocklist_entry(bench: Bench) -> Iterator[None]:
    _blocklist(bench, "add", expire=60.0)
    yield
    _blocklist(bench, "rm")


def _blocklist(bench: Bench, what: str, **more: float) -> None:
    request = {"prefix": "osd blocklist", "blocklistop": what, "addr": _STRANGER, **more}
    code, _, text = bench.client.mon_command(json.dumps(request), b"", timeout=20)
    if code:
        raise RuntimeError(text)
