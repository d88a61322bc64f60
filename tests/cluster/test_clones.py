"""Clones are found as librbd finds them, and a pool that does not answer holds nobody up."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EAGAIN, EBUSY
from typing import Any

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from rbdmigrate.cluster import clones
from rbdmigrate.engine.reconcile.clones import look_before, refuse_commit
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import ActKind, Goal, State
from tests.cluster.conftest import MakePool

MIB = 1 << 20


class Golden:
    """An image with a protected snapshot ``old`` and ``new``, and its clones."""

    def __init__(self, client: rados.Rados, pool: str, namespace: str = "") -> None:
        self.client = client
        self.pool = pool
        self.ioctx = client.open_ioctx(pool)
        self.ioctx.set_namespace(namespace)
        rbd.RBD().create(self.ioctx, "golden", MIB, old_format=False, features=3)
        with rbd.Image(self.ioctx, "golden") as image:
            image.create_snap("old")
            image.create_snap("new")
            self.ident = str(image.id())
        self.place = Place(pool, namespace, "golden", client.pool_lookup(pool), self.ident)

    def protect(self, snapshot: str) -> None:
        with rbd.Image(self.ioctx, "golden") as image:
            image.protect_snap(snapshot)

    def clone(self, ioctx: rados.Ioctx, name: str, snapshot: str, form: int) -> None:
        self.client.conf_set("rbd_default_clone_format", str(form))
        try:
            rbd.RBD().clone(self.ioctx, "golden", snapshot, ioctx, name, features=3)
        finally:
            self.client.conf_set("rbd_default_clone_format", "auto")

    def of_librbd(self) -> "dict[int, set[tuple[int, str, str]]]":
        found: dict[int, set[tuple[int, str, str]]] = {}
        with rbd.Image(self.ioctx, "golden", read_only=True) as image:
            for snapshot in list(image.list_snaps()):
                image.set_snap_by_id(snapshot["id"])
                found[snapshot["id"]] = {
                    (self.client.pool_lookup(c["pool"]), c["pool_namespace"], c["id"])
                    for c in image.list_children2()
                }
        return found

    def ours(self) -> clones.Clones:
        return clones.clones_of(self.client, self.ioctx, self.ident)

    def migration(self, **more: Any) -> Migration:
        target = Place(self.pool, "", "elsewhere", self.place.pool_id, "ffff")
        return Migration("0" * 12, self.place, target, Goal.COMMITTED, State.EXECUTED, 1.0, **more)


def test_the_same_clones_are_found_as_librbd_finds(client: rados.Rados, make_pool: MakePool):
    one, other = make_pool(), make_pool()
    rbd.RBD().namespace_create(client.open_ioctx(other), "ns")
    golden = Golden(client, one)
    golden.protect("old")
    there, outside, within = (client.open_ioctx(pool) for pool in (one, other, other))
    within.set_namespace("ns")
    golden.clone(there, "a1", "old", 1)
    golden.clone(outside, "b1", "old", 1)
    golden.clone(there, "a2", "old", 2)
    golden.clone(outside, "b2", "new", 2)
    golden.clone(within, "c2", "new", 2)
    golden.clone(there, "t1", "old", 1)
    golden.clone(outside, "t2", "new", 2)
    rbd.RBD().trash_move(there, "t1", 0)
    rbd.RBD().trash_move(outside, "t2", 0)
    found = golden.ours()
    assert {snap: set(map(tuple, kin)) for snap, kin in found.of.items()} == golden.of_librbd()
    assert len(found.all()) == 7
    assert found.silent == ()
    names = [clones.clone_names(client, [clone])[0] for clone in found.all()]
    assert sorted(names) == sorted(
        [f"{one}/a1", f"{other}/b1", f"{one}/a2", f"{other}/b2", f"{other}/ns/c2", f"{one}/t1",
         f"{other}/t2"]
    )  # fmt: skip


def test_clones_of_an_image_in_a_namespace_are_found(client: rados.Rados, make_pool: MakePool):
    pool = make_pool()
    rbd.RBD().namespace_create(client.open_ioctx(pool), "ns")
    golden = Golden(client, pool, "ns")
    golden.protect("old")
    golden.clone(golden.ioctx, "one", "old", 1)
    golden.clone(client.open_ioctx(pool), "two", "new", 2)
    ours = {snap: set(map(tuple, kin)) for snap, kin in golden.ours().of.items()}
    assert ours == golden.of_librbd()
    assert len(golden.ours().all()) == 2


def test_many_clones_are_counted_and_a_few_are_named(client: rados.Rados, pool: str):
    golden = Golden(client, pool)
    for number in range(8):
        golden.clone(golden.ioctx, f"vm-{number}", "new", 2)
    with pytest.raises(MigrationError) as refusal:
        refuse_commit(client, golden.migration(), force=True)
    assert refusal.value.errno == EBUSY
    assert str(refusal.value).startswith(f"The clones {pool}/vm-")
    assert " and 3 more were left behind at the source" in str(refusal.value)


@contextmanager
def silent(cluster: Cluster, client: rados.Rados, make_pool: MakePool) -> Iterator[str]:
    """A pool that does not answer: more replicas must be there than there are OSDs."""
    pool = make_pool()
    cluster.ceph("osd", "pool", "set", pool, "size", "2")
    cluster.ceph("osd", "pool", "set", pool, "min_size", "2")

    cluster.wait_for(lambda: pool in clones.silent_pools(client), 40, "the pool to be silent")
    try:
        yield pool
    finally:
        cluster.ceph("osd", "pool", "set", pool, "min_size", "1")
        cluster.ceph("osd", "pool", "set", pool, "size", "1", "--yes-i-really-mean-it")
        cluster.wait_for(lambda: not clones.silent_pools(client), 40, "the pool to answer")


def test_a_silent_pool_holds_up_what_would_wait_for_it_and_nothing_else(
    cluster: Cluster, client: rados.Rados, make_pool: MakePool
) -> None:
    pool = make_pool()
    golden = Golden(client, pool)
    with silent(cluster, client, make_pool) as still:
        found = golden.ours()
        assert found.silent == (), "no snapshot is protected: no other pool is asked"
        assert look_before(client, golden.migration(), ActKind.COMMIT) is None
        assert look_before(client, golden.migration(), ActKind.EXECUTE) is None
        for act in (ActKind.PREPARE, ActKind.ABORT, ActKind.UNDO_PREPARE):
            refusal = look_before(client, golden.migration(), act)
            assert refusal is not None
            assert refusal.errno == EAGAIN
            assert f"A pool does not answer ({still})" in str(refusal)
        golden.protect("old")
        assert golden.ours().silent == (still,)
        refusal = look_before(client, golden.migration(), ActKind.COMMIT)
        assert refusal is not None
        assert refusal.errno == EAGAIN
    assert look_before(client, golden.migration(), ActKind.PREPARE) is None
