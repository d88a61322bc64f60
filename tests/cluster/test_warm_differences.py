"""What the cutover of the method warm looks at: nothing that differs is left out."""

import random
from contextlib import ExitStack, closing

import pytest
import rbd

from qa.model.operations import Model, operate
from qa.workload.images import FEATURES, place
from rbdmigrate.cluster import headers, lock_out
from rbdmigrate.worker.mover import candidates

OBJECT = 1 << 16
MAPS = ("layering", "exclusive-lock", "object-map", "fast-diff")


@pytest.fixture
def ioctx(client, pools):
    with place(client, f"{pools[0]}/image") as made:
        yield made


@pytest.fixture
def image(ioctx):
    bits = sum(FEATURES[name] for name in MAPS)
    rbd.RBD().create(ioctx, "image", OBJECT * 12, order=16, features=bits)
    with rbd.Image(ioctx, "image") as made:
        yield made


def work(image, model, chance, most):
    for _ in range(chance.randrange(1, most)):
        operate(image, model, chance, OBJECT)
    image.flush()


def varied(image, older, base):
    """As a round knows it: what differed from the round before, if there is no other snapshot."""
    if not older:
        return ()
    if not all(name.startswith("base") for name in older) or len(older) > 1:
        return None
    image.set_snap(base)
    try:
        found = candidates.exact_extents(image, older[0], 0, image.size(), parent=False)
    finally:
        image.set_snap(None)
    return candidates.flattened(found, OBJECT)


def missed(found, before, now):
    """The differing sectors that are in none of these parts."""
    length = len(now)
    before = before[:length].ljust(length, b"\0")
    covered = bytearray(length)
    for offset, size in found:
        covered[offset : offset + size] = b"\1" * size
    return [
        at
        for at in range(0, length, 512)
        if before[at : at + 512] != now[at : at + 512] and not covered[at]
    ]


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5, 6])
def test_what_differs_is_looked_at_whatever_was_done_before(ioctx, image, monkeypatch, seed):
    """Also after rollbacks, resizes and removed snapshots; each image is looked at many times."""
    monkeypatch.setattr(candidates, "_GAP", -1)  # objects that happen to lie between count too
    chance = random.Random(seed)
    model = Model(bytearray(image.size()))
    few = 0
    for number in range(12):
        if chance.random() < 0.6:  # as of an image of which users make no snapshots
            for name in list(model.snapshots):
                if name != f"base{number - 1}":
                    image.remove_snap(name)
                    del model.snapshots[name]
        work(image, model, chance, 8)
        base, older = f"base{number}", list(model.snapshots)
        image.create_snap(base)
        before = model.snapshots[base] = bytes(model.head)  # it may be rolled back to
        known = varied(image, older, base)
        if chance.random() < 0.7 and older:
            image.rollback_to_snap(chance.choice(older))
            model.head = bytearray(content_of_head(image))
        work(image, model, chance, 8)
        ids = {s["name"]: s["id"] for s in image.list_snaps()}
        if base not in ids:
            continue  # it was removed meanwhile, as a user can
        spans = list(candidates.since(ioctx, image, image.id(), ids[base], known))
        exact = candidates.exact_within(image, base, spans, parent=False)
        parts = [(extent.offset, extent.length) for extent in exact]
        few += sum(size for _, size in spans) < image.size()
        assert not missed(parts, before, bytes(model.head)), (seed, number, older)
        assert content_of_head(image) == bytes(model.head)
    assert few, "the object maps were never used"


def content_of_head(image):
    return image.read(0, image.size())


def test_a_rollback_restores_what_only_the_copy_mark_tells(ioctx, image):
    """The object map has the object as not written since, which it was not: it was rolled back."""
    image.write(b"a" * OBJECT, OBJECT)
    image.create_snap("first")
    image.create_snap("former")
    image.write(b"b" * OBJECT, OBJECT)
    image.create_snap("base")
    image.rollback_to_snap("former")
    newest = max(s["id"] for s in image.list_snaps())
    assert list(candidates.since(ioctx, image, image.id(), newest, ())) == []
    spans = list(candidates.since(ioctx, image, image.id(), newest, (OBJECT, OBJECT)))
    exact = candidates.exact_within(image, "base", spans, parent=False)
    assert [(extent.offset, extent.length) for extent in exact] == [(OBJECT, OBJECT)]
    in_any = list(candidates.since(ioctx, image, image.id(), newest, None))
    assert in_any == [(OBJECT, OBJECT)]


def test_maps_that_are_flagged_are_not_used(ioctx, image):
    image.write(b"x" * OBJECT, 0)
    image.create_snap("base")
    ((ident, newest),) = [(image.id(), s["id"]) for s in image.list_snaps()]
    assert list(candidates.since(ioctx, image, ident, newest, ())) == []
    image.update_features(FEATURES["fast-diff"] | FEATURES["object-map"], False)
    assert list(candidates.since(ioctx, image, ident, newest, ())) == [(0, image.size())]
    image.update_features(FEATURES["fast-diff"] | FEATURES["object-map"], True)
    assert headers.flags(ioctx, ident)
    assert list(candidates.since(ioctx, image, ident, newest, ())) == [(0, image.size())]


def test_a_snapshot_that_is_not_the_newest_is_compared_in_full(ioctx, image):
    image.write(b"x" * OBJECT, 0)
    image.create_snap("base")
    image.create_snap("newer")
    ids = {s["name"]: s["id"] for s in image.list_snaps()}
    whole = [(0, image.size())]
    assert list(candidates.since(ioctx, image, image.id(), ids["base"], ())) == whole


def test_a_client_writes_nothing_from_the_lock_to_its_end(cluster, client, pools, ioctx, image):
    """Nobody gets the lock while its cookie is changed, nor when the image is closed."""
    ident = image.id()
    image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
    image.write(b"x" * OBJECT, 0)
    lock_out.keep_locked(ioctx, ident, (client.get_instance_id(),))
    lock_out.keep_locked(ioctx, ident, (client.get_instance_id(),))
    assert lock_out.locked_out(ioctx, ident)
    assert headers.lock_holder(ioctx, ident) is None
    written = []
    with ExitStack() as stack:
        other = stack.enter_context(cluster.connect())
        others = stack.enter_context(closing(other.open_ioctx(pools[0])))
        late = stack.enter_context(closing(rbd.Image(others, "image")))
        late.aio_write(b"y" * 512, 0, lambda end: written.append(end.get_return_value()))
        image.close()
        assert late.read(0, 512) == b"x" * 512
        assert not written
        assert lock_out.locked_out(ioctx, ident)
        lock_out.let_in(ioctx, ident)
        cluster.wait_for(lambda: written, 90, "the write of the client that waited")
        assert late.read(0, 512) == b"y" * 512
