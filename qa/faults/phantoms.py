"""Phantom watchers, which Ceph itself leaves behind when a client dies at the wrong moment.

A client that is killed within the few milliseconds in which an OSD registers its watch on an
image's header may stay listed as a watcher for good: the watch is in the object's metadata, but
nothing in the OSD's memory waits for it to expire. Plain librbd clients cause them too. An image
with one cannot be aborted or prepared (EBUSY) until the placement group peers again. The tests make
it do so, and the case notes it.
"""

import time

import rbd

from qa.faults.bench import Bench
from qa.faults.images import Sample, spec
from rbdmigrate.cluster import headers

EXPIRY = 35.0  # seconds after which the watch of a dead client must have expired
_UP_TIMEOUT = 60.0


def heal(bench: Bench, samples: "list[Sample]") -> "list[str]":
    """Make the OSDs drop watchers of dead clients and describe what was done.

    Call it only if no process of the tests or the module has had the images open for EXPIRY.
    """
    before = _watchers(bench, samples)
    if not before:
        return []
    osds = [int(number) for number in bench.cluster.blueprint.osds]
    bench.cluster.mon_command("osd down", ids=[str(number) for number in osds])

    def up() -> bool:
        dump = bench.cluster.mon_command("osd dump")["osds"]
        return all(osd["up"] for osd in dump if osd["osd"] in osds)

    bench.cluster.wait_for(up, _UP_TIMEOUT, "the OSDs to be up again")
    deadline = time.monotonic() + EXPIRY
    while _watchers(bench, samples) and time.monotonic() < deadline:
        time.sleep(1)
    after = _watchers(bench, samples)
    return [f"phantom watcher of {text}" for text in sorted(before - after)]


def _watchers(bench: Bench, samples: "list[Sample]") -> "set[str]":
    found: set[str] = set()
    for sample in samples:
        for pool, namespace, name in dict.fromkeys((sample.source, sample.target)):
            with bench.ioctx(pool, namespace) as ioctx:
                for ident in {sample.ident, headers.image_id(ioctx, name)} - {None}:
                    place = spec((pool, namespace, name))
                    found |= {f"{place} at {each}" for each in _of_image(ioctx, str(ident))}
    return found


def _of_image(ioctx: object, ident: str) -> "list[str]":
    try:
        with rbd.Image(ioctx, image_id=ident, read_only=True) as image:
            return [str(watcher["addr"]) for watcher in image.watchers_list()]
    except rbd.Error:
        return []
