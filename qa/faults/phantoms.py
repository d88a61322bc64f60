"""Phantom watchers: what Ceph itself leaves behind when a client dies at the wrong moment.

A client that is killed within the few milliseconds in which an OSD registers its watch on an
image's header may stay listed as a watcher for good: the watch is in the object's metadata, and
nothing in the OSD's memory waits for it to expire. Plain librbd clients leave them too. An image
with one cannot be aborted or prepared (EBUSY) until the placement group peers anew, so there it
is made to, and the case notes that this was needed.
"""

import time

import rbd

from qa.faults.bench import Bench
from qa.faults.images import Sample, spec
from rbdmigrate.cluster import headers

EXPIRY = 35.0  # seconds after which the watch of a dead client has to be gone
_UP_TIMEOUT = 60.0


def heal(bench: Bench, samples: "list[Sample]") -> "list[str]":
    """Have the OSDs forget watchers that have long been dead; what was healed, in words.

    To be called when nobody of ours has had the images open for EXPIRY.
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
