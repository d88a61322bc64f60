"""Native imports: a snapshot with all that are older, whatever happens to the source meanwhile."""

import itertools
import random
import time
from errno import EACCES, ENOENT, EOPNOTSUPP

import pytest
import rbd

from qa.model.operations import Model, differences, operate
from qa.workload.images import (
    KIB,
    MIB,
    content,
    make_image,
    names,
    opened,
    place,
    rados_objects,
    records,
    scribble,
    split,
    trash,
)
from tests.cluster.importing import text
from tests.cluster.test_import_rights import asked, user

_numbers = itertools.count(1)


def write_head(client, spec, seed):
    """What a virtual machine would do to the source meanwhile."""
    with opened(client, spec, read_only=False) as image:
        scribble(image, seed, [""])


def forms(pool, pool_id, ident, snap_id, snapshot="two"):
    """Every way to name a snapshot of the image src, by name and by id."""
    yield {"type": "native", "pool_name": pool, "image_name": "src", "snap_name": snapshot}
    yield {
        "type": "native",
        "pool_name": pool,
        "image_name": "any",
        "image_id": ident,
        "snap_id": snap_id,
    }
    yield {"type": "native", "pool_id": pool_id, "image_name": "src", "snap_name": snapshot}
    yield {"type": "native", "pool_id": str(pool_id), "image_name": "src", "snap_id": str(snap_id)}


def history(client, spec):
    """(name, protected, content) of each snapshot."""
    with opened(client, spec) as image:
        listed = [(s["name"], image.is_protected_snap(s["name"])) for s in image.list_snaps()]
    return [(name, protected, content(client, spec, name)) for name, protected in listed]


def unprotect(client, spec):
    """So that the image can be removed after the test."""
    with opened(client, spec, read_only=False) as image:
        for snapshot in list(image.list_snaps()):
            if image.is_protected_snap(snapshot["name"]):
                image.unprotect_snap(snapshot["name"])


def metadata(client, spec):
    with opened(client, spec) as image:
        return dict(image.metadata_list())


def test_the_snapshot_with_all_older_ones_and_not_the_head(client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source, snapshots=("one", "two", "three"), protect=("one",))
    with opened(client, source, read_only=False) as image:
        image.metadata_set("owner", "tenant")
    wanted = history(client, source)[:2]
    assert [(name, protected) for name, protected, _ in wanted] == [("one", True), ("two", False)]
    checked = migration.ask(
        "check", source_image=f"{source}@two", target_image=target, import_only=True
    )
    assert (checked["ok"], checked["method"]) == (True, "copy")
    said = migration.text("prepare", "--import-only", f"{source}@two", target, "--verify", "full")
    assert said.startswith(f"{source}@two -> {target}: prepared")
    write_head(client, source, 7)
    migration.text("execute", target)
    report = migration.wait(target, "executed")
    assert report["method"] == "copy"
    assert report["bytes_copied"] == report["bytes_total"] > 0
    write_head(client, source, 8)
    assert history(client, target) == wanted
    assert content(client, target) == wanted[1][2]
    assert "method" in migration.text("status", target)
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    assert [view["snapshot"] for view in report["verification"]["views"]] == ["one", None]
    assert migration.text("commit", target).startswith(f"{source}@two -> {target}: committed")
    assert history(client, target) == wanted
    assert content(client, target) == wanted[1][2]
    assert metadata(client, target) == {"owner": "tenant"}
    for spec in (source, target):
        unprotect(client, spec)


def test_by_name_and_by_id_and_back(client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source, protect=("one",))
    wanted = content(client, source, "two")
    with opened(client, source) as image:
        ident = image.id()
        snap_id = next(s["id"] for s in image.list_snaps() if s["name"] == "two")
    for spec, goal in zip(
        forms(one, client.pool_lookup(one), ident, snap_id),
        itertools.cycle(("prepared", "executed")),
    ):
        migration.ask(
            "run", source_image=target, import_only=True, source_spec=text(spec), goal=goal
        )
        migration.wait(target, goal)
        if goal == "executed":
            assert content(client, target) == wanted
        write_head(client, source, 9)
        assert "aborted" in migration.text("abort", target)
        assert names(client, other) == []
    unprotect(client, source)


@pytest.mark.parametrize(
    "layout",
    [
        {"object_size": "64K"},
        {"object_size": "32M"},
        {"stripe_unit": "16K", "stripe_count": "3"},
        {"image_shared": True},
    ],
    ids=["small objects", "large objects", "striped", "shared"],
)
def test_layouts(client, migration, pools, layout):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source, size=8 * MIB + 512)
    migration.ask(
        "run",
        source_image=f"{source}@two",
        target_image=target,
        import_only=True,
        verify="full",
        **layout,
    )
    migration.wait(target, "committed")
    assert history(client, target) == history(client, source)


def test_holes_stay_holes(client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    with place(client, source) as ioctx:
        rbd.RBD().create(ioctx, "src", 10 << 30)
    with opened(client, source, read_only=False) as image:
        image.write(b"x" * 4096, 5 << 30)
        image.write(bytes(4 * MIB), 6 << 30)  # data that are zeros
        image.create_snap("one")
    migration.ask("run", source_image=f"{source}@one", target_image=target, import_only=True)
    migration.wait(target, "committed")
    with opened(client, target) as image:
        prefix = image.block_name_prefix()
        assert image.read(5 << 30, 4096) == b"x" * 4096
    assert len([name for _, name in rados_objects(client, other) if prefix in name]) == 1


def test_the_data_of_a_parent_come_too(client, migration, pools):
    one, other = pools
    base, source, target = f"{one}/base", f"{one}/src", f"{other}/copy"
    make_image(client, base, snapshots=("root",), protect=("root",))
    with place(client, source) as ioctx:
        rbd.RBD().clone(ioctx, "base", "root", ioctx, "src", features=61)
    with opened(client, source, read_only=False) as image:
        image.create_snap("one")
        image.discard(0, 2 * MIB)  # of data that only the parent has
        image.write(b"mine" * 1024, 3 * MIB)
        image.create_snap("two")
    wanted = history(client, source)
    migration.ask(
        "run", source_image=f"{source}@two", target_image=target, import_only=True, verify="full"
    )
    migration.wait(target, "committed")
    assert history(client, target) == wanted
    with opened(client, target) as image, pytest.raises(rbd.ImageNotFound):
        image.parent_info()
    with place(client, source) as ioctx:
        with opened(client, source, read_only=False) as image:
            for snapshot in list(image.list_snaps()):
                image.remove_snap(snapshot["name"])
        rbd.RBD().remove(ioctx, split(source)[2])
    unprotect(client, base)


POINTS = [
    ("native.made", "1"),
    ("native.marked", "1"),
    ("librbd.after", "1 prepare"),
    ("mover.piece", "9 one"),
    ("mover.piece", "5 two"),
    ("mover.before", "1 snapshot"),
    ("mover.after", "2 snapshot"),
    ("mover.before", "2 mark"),
    ("mover.after", "3 mark"),
    ("librbd.after", "1 execute"),
    ("verify.piece", "1"),
    ("librbd.after", "1 commit"),
]


def test_a_worker_that_dies_anywhere(cluster, client, migration, pools):
    one, other = pools
    source = f"{one}/src"
    make_image(client, source, protect=("one",))
    wanted = history(client, source)
    for point, what in POINTS:
        target = f"{other}/worker{next(_numbers)}"
        (cluster.faults / point).write_text(what, encoding="ascii")
        migration.ask(
            "run",
            source_image=f"{source}@two",
            target_image=target,
            import_only=True,
            verify="full",
            object_size="64K",
        )
        migration.wait(target, "committed")
        assert not (cluster.faults / point).exists(), f"{point} {what} was not reached"
        assert history(client, target) == wanted, f"{point} {what}"
        assert metadata(client, target) == {}, f"{point} {what}"
        unprotect(client, target)
    cluster.wait_for(lambda: records(client, other) == [], 20, "the end of all records")
    unprotect(client, source)


def test_a_pause_stops_the_copy_which_goes_on_where_it_was(cluster, client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source, size=64 * MIB, object_size=4 * MIB, snapshots=("one",))
    migration.ask(
        "run", source_image=f"{source}@one", target_image=target, import_only=True, rate="8M"
    )
    cluster.wait_for(lambda: migration.report(target)["bytes_copied"] > 16 * MIB, 30, "some data")
    migration.text("pause", target)
    cluster.wait_for(lambda: not migration.report(target)["acting"], 10, "the copy to stop")
    before = rados_objects(client, other)
    time.sleep(1.5)
    assert rados_objects(client, other) == before
    copied = migration.report(target)["bytes_copied"]
    migration.text("set", target, "--rate", "off")
    migration.text("resume", target)
    report = migration.wait(target, "committed")
    assert report["bytes_total"] < copied + 64 * MIB
    assert content(client, target) == content(client, source, "one")


def test_a_snapshot_that_is_removed_during_the_copy(cluster, client, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source, size=32 * MIB, snapshots=("one", "two", "three"))
    wanted = {name: data for name, _, data in history(client, source)}
    migration.ask(
        "run",
        source_image=f"{source}@three",
        target_image=target,
        import_only=True,
        rate="8M",
        verify="full",
    )
    cluster.wait_for(lambda: migration.report(target)["bytes_copied"] > 4 * MIB, 30, "some data")
    with opened(client, source, read_only=False) as image:
        image.remove_snap("one")
    migration.text("set", target, "--rate", "off")
    migration.wait(target, "committed")
    found = {name: data for name, _, data in history(client, target)}
    assert set(found) >= {"two", "three"}
    assert all(data == wanted[name] for name, data in found.items())


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_random_images(client, migration, pools, seed):
    one, other = pools
    chance = random.Random(seed)
    source, target = f"{one}/src", f"{other}/copy"
    size = 256 * KIB * chance.randrange(3, 9)
    with place(client, source) as ioctx:
        rbd.RBD().create(ioctx, "src", size, order=18)
    model = Model(bytearray(size))
    with opened(client, source, read_only=False) as image:
        for _ in range(30):
            operate(image, model, chance, 256 * KIB)
        image.flush()
        image.create_snap("last")
        model.snapshots["last"] = bytes(model.head)
        image.write(b"later", 0)
    migration.ask("run", source_image=f"{source}@last", target_image=target, import_only=True)
    migration.wait(target, "committed")
    with opened(client, target) as image:
        assert differences(image, model) == []


def test_what_is_refused(client, migration, pools):
    one, other = pools
    make_image(client, f"{one}/src", protect=("one",))
    target = f"{other}/copy"
    args = ("prepare", "--import-only")
    assert "snap ls" in migration.refused(ENOENT, *args, f"{one}/src@three", target)
    assert "does not exist" in migration.refused(ENOENT, *args, f"{one}/none@one", target)
    said = migration.refused(
        22, *args, f"{one}/src@one", target, "--image-feature", "exclusive-lock"
    )
    assert "layering" in said
    elsewhere = {**next(forms(one, 0, "", 0)), "cluster_name": "b", "client_name": "client.b"}
    said = migration.refused(EOPNOTSUPP, *args, target, "--source-spec", text(elsewhere))
    assert "another cluster" in said
    assert names(client, other) == []
    unprotect(client, f"{one}/src")


def test_an_image_in_the_trash_is_copied_there(client, cluster, migration, pools):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source)
    wanted = history(client, source)
    with opened(client, source) as image:
        ident = image.id()
    cluster.rbd("trash", "mv", source)
    spec = {"type": "native", "pool_name": one, "image_name": "src", "image_id": ident}
    asked = ("--import-only", target, "--source-spec", text({**spec, "snap_name": "two"}))
    migration.text("run", *asked, "--verify", "full")
    migration.wait(target, "committed")
    assert history(client, target) == wanted
    assert trash(client, one) == [f"id_{ident}"]
    cluster.rbd("trash", "restore", f"{one}/{ident}")  # for the clean-up


def test_a_pool_given_by_its_id_needs_the_capabilities_of_its_name(
    client, cluster, migration, pools
):
    one, other = pools
    source, target = f"{one}/src", f"{other}/copy"
    make_image(client, source)
    spec = {"type": "native", "image_name": "src", "snap_name": "one"}
    request = {"source_image": target, "import_only": True}
    allowed = f"allow module rbd_migration with pool={other} rw"
    for pool_id, errno in ((client.pool_lookup(one), EACCES), (1 << 40, ENOENT)):
        given = {**request, "source_spec": text({**spec, "pool_id": pool_id})}
        with user(cluster, allowed) as limited:
            assert asked(limited, "check", **given)[0] == errno
