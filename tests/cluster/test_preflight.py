"""Preflight: each finding provoked on the real cluster, and that a check changes nothing."""

import contextlib
import random
import secrets
import shlex
import struct
import time
from collections.abc import Iterator
from errno import EACCES, EBUSY, EEXIST, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP
from typing import Any, Callable

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.images import (
    FEATURES,
    MIB,
    make_old_format,
    make_rotated_image,
    names,
    opened,
    place,
    records,
    remove,
    trash,
)
from qa.workload.writer import writing
from rbdmigrate.checks import CHECKS
from rbdmigrate.model.finding import Severity
from tests.cluster.stage import Stage

Provoke = Callable[[Stage], "contextlib.AbstractContextManager[list[str]]"]
DIRTY_CACHE = 1 << 11  # include/rbd/features.h


# -- what provokes each finding: yields the arguments of the check --------------------------------


@contextlib.contextmanager
def pool_missing(s: Stage) -> "Iterator[list[str]]":
    s.make()
    yield [s.source, "nowhere/disk"]


@contextlib.contextmanager
def namespace_missing(s: Stage) -> "Iterator[list[str]]":
    s.make()
    yield [s.source, f"{s.nvme}/nowhere/disk"]


@contextlib.contextmanager
def no_application(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.cluster.ceph("osd", "pool", "application", "disable", s.nvme, "rbd", "--yes-i-really-mean-it")
    try:
        yield [s.source, s.target]
    finally:
        s.cluster.ceph("osd", "pool", "application", "enable", s.nvme, "rbd")


@contextlib.contextmanager
def untrimmed(s: Stage) -> "Iterator[list[str]]":
    s.cluster.ceph("osd", "set", "nosnaptrim")
    try:
        make_rotated_image(s.client, s.source)
        yield [s.source, s.target]
    finally:
        s.cluster.ceph("osd", "unset", "nosnaptrim")


@contextlib.contextmanager
def group_snapshot(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    s.cluster.rbd("group", "create", f"{s.hdd}/g")
    s.cluster.rbd("group", "image", "add", f"{s.hdd}/g", s.source)
    s.cluster.rbd("group", "snap", "create", f"{s.hdd}/g@gs")
    try:
        yield [s.source, s.target]
    finally:
        s.cluster.rbd("group", "snap", "rm", f"{s.hdd}/g@gs")
        s.cluster.rbd("group", "rm", f"{s.hdd}/g")


@contextlib.contextmanager
def mirror_snapshot(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    s.cluster.rbd("mirror", "pool", "enable", s.hdd, "image")
    s.cluster.rbd("mirror", "image", "enable", s.source, "snapshot")
    try:
        yield [s.source, s.target]
    finally:
        s.cluster.rbd("mirror", "image", "disable", s.source)
        s.cluster.rbd("mirror", "pool", "disable", s.hdd)


@contextlib.contextmanager
def removed_snapshot_with_clone(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=("old",))
    s.cluster.rbd("clone", "--rbd-default-clone-format", "2", f"{s.source}@old", f"{s.hdd}/clone")
    s.cluster.rbd("snap", "rm", f"{s.source}@old")
    try:
        yield [s.source, s.target]
    finally:
        s.cluster.rbd("rm", f"{s.hdd}/clone")


@contextlib.contextmanager
def locked(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    s.cluster.rbd("lock", "add", s.source, "host 1")
    try:
        yield [s.source, s.target]
    finally:
        remedy = s.check(s.source, s.target)["findings"][0]["remedy"]
        s.cluster.rbd(*shlex.split(remedy)[1:])


@contextlib.contextmanager
def invalid_map(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    with opened(s.client, s.source) as image:
        ident = image.id()
    s.cluster.rados("-p", s.hdd, "rm", f"rbd_object_map.{ident}")
    with opened(s.client, s.source, read_only=False) as image:
        image.write(b"x", 0)
    yield [s.source, s.target]


@contextlib.contextmanager
def data_pool(s: Stage) -> "Iterator[list[str]]":
    other = s.make_pool()
    s.cluster.rbd("create", "--size", "1M", "--data-pool", other, s.source)
    yield [s.source, s.target]


@contextlib.contextmanager
def trash_of_users(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    s.make(f"{s.hdd}/old", snapshots=())
    s.cluster.rbd("trash", "mv", f"{s.hdd}/old")
    yield [s.source, s.target]


@contextlib.contextmanager
def key_for(s: Stage, pool: str) -> "Iterator[list[str]]":
    """A client's key for one of the pools; what a check proposes for it is accepted."""
    s.make(snapshots=())
    entity = f"client.key{secrets.token_hex(3)}"
    caps = ("mon", "profile rbd", "mgr", "profile rbd", "osd", f"profile rbd pool={pool}")
    s.cluster.ceph("auth", "get-or-create", entity, *caps)
    time.sleep(1.1)  # the keys that a check before this one read are known for a second
    args = [s.source, s.target]
    try:
        yield args
        (found,) = (f for f in s.check(*args)["findings"] if f["object"] == entity)
        s.cluster.ceph(*shlex.split(found["remedy"])[1:])
        time.sleep(1.1)
        assert s.check(*args)["findings"] == []
        kept = s.cluster.ceph_json("auth", "get", entity)[0]["caps"]
        assert (kept["mon"], kept["mgr"]) == ("profile rbd", "profile rbd")
    finally:
        s.cluster.ceph("auth", "rm", entity)


def key_for_target(s: Stage) -> "contextlib.AbstractContextManager[list[str]]":
    return key_for(s, s.nvme)


def key_for_source(s: Stage) -> "contextlib.AbstractContextManager[list[str]]":
    return key_for(s, s.hdd)


@contextlib.contextmanager
def format_1(s: Stage) -> "Iterator[list[str]]":
    make_old_format(s.client, s.source, MIB)
    try:
        yield [s.source, s.target]
    finally:
        remove(s.client, s.source)


@contextlib.contextmanager
def format_1_in_place(s: Stage) -> "Iterator[list[str]]":
    with format_1(s):
        yield [s.source, "--object-size", "128K"]


@contextlib.contextmanager
def migrating(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.migration.text("prepare", s.source, s.target)
    yield [s.source, f"{s.nvme}/other"]


@contextlib.contextmanager
def is_target(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.migration.text("prepare", s.source, s.target)
    yield [s.target, f"{s.hdd}/other"]


@contextlib.contextmanager
def in_trash(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.cluster.rbd("trash", "mv", s.source)
    yield [s.source, s.target]


@contextlib.contextmanager
def missing(s: Stage) -> "Iterator[list[str]]":
    yield [s.source, s.target]


@contextlib.contextmanager
def target_exists(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.make(s.target)
    yield [s.source, s.target]


@contextlib.contextmanager
def reserved(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.make(f"{s.nvme}/other")
    s.migration.text("prepare", s.source, s.target)
    yield [f"{s.nvme}/other", s.source]


@contextlib.contextmanager
def in_use(s: Stage) -> "Iterator[list[str]]":
    s.make(size=8 * MIB)
    with writing(s.cluster, s.source) as writer:
        writer.wait_acked(3)
        yield [s.source, s.target]
        writer.stop()


@contextlib.contextmanager
def protected(s: Stage) -> "Iterator[list[str]]":
    s.make(protect=["one"])
    yield [s.source, s.target]


@contextlib.contextmanager
def without_layering(s: Stage) -> "Iterator[list[str]]":
    s.make(protect=["one"])
    yield [s.source, s.target, "--image-feature", "exclusive-lock"]


@contextlib.contextmanager
def stripe_unit(s: Stage) -> "Iterator[list[str]]":
    s.make()  # its objects are of 256 KiB
    yield [s.source, s.target, "--stripe-unit", "1M", "--stripe-count", "2"]


@contextlib.contextmanager
def object_map(s: Stage) -> "Iterator[list[str]]":
    # Its own object map makes it quick to remove: without, all 65536 objects are asked for.
    features = "layering,exclusive-lock,object-map"
    bits = sum(FEATURES[name] for name in features.split(","))
    with place(s.client, s.source) as ioctx:
        rbd.RBD().create(ioctx, "disk", 1 << 41, order=25, features=bits)
    yield [s.source, s.target, "--object-size", "4K", "--image-feature", features]


@contextlib.contextmanager
def fewer_features(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    yield [s.source, s.target, "--image-feature", "layering"]


@contextlib.contextmanager
def more_features(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=(), features=["layering"])
    yield [s.source, s.target, "--image-feature", "layering,exclusive-lock"]


@contextlib.contextmanager
def clones(s: Stage) -> "Iterator[list[str]]":
    s.make(protect=["one"])
    s.cluster.rbd("clone", f"{s.source}@one", f"{s.nvme}/clone")
    yield [s.source, s.target]


@contextlib.contextmanager
def parent_elsewhere(s: Stage) -> "Iterator[list[str]]":
    s.make(protect=["one"])
    s.cluster.rbd("clone", f"{s.source}@one", f"{s.hdd}/clone")
    yield [f"{s.hdd}/clone", s.target]


@contextlib.contextmanager
def mirrored(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.cluster.rbd("mirror", "pool", "enable", s.hdd, "image")
    try:
        s.cluster.rbd("mirror", "image", "enable", s.source, "journal")
        yield [s.source, s.target]
    finally:
        s.cluster.rbd("mirror", "image", "disable", s.source, "--force")
        s.cluster.rbd("mirror", "pool", "disable", s.hdd)


@contextlib.contextmanager
def onto_itself(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    assert s.check(s.source, "--force")["ok"]
    yield [s.source]


@contextlib.contextmanager
def old_data(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=["monday"])
    yield [s.source, s.target]


@contextlib.contextmanager
def journaling(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=(), features=["layering", "exclusive-lock", "journaling"])
    yield [s.source, s.target]


@contextlib.contextmanager
def in_group(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.cluster.rbd("group", "create", f"{s.hdd}/together")
    s.cluster.rbd("group", "image", "add", f"{s.hdd}/together", s.source)
    try:
        yield [s.source, s.target]
    finally:
        s.cluster.rbd("group", "rm", f"{s.hdd}/together")


@contextlib.contextmanager
def encrypted(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=())
    with opened(s.client, s.source, read_only=False) as image:
        image.write(b"LUKS\xba\xbe\x00\x02", 0)  # how such an image begins
    yield [s.source, s.target]


@contextlib.contextmanager
def quota(s: Stage, **limits: str) -> "Iterator[list[str]]":
    s.make(size=16 * MIB)
    pool = s.make_pool()  # what was in another until now counts for a while
    for name, value in limits.items():
        s.cluster.ceph("osd", "pool", "set-quota", pool, name, value)
    yield [s.source, f"{pool}/disk"]


def quota_bytes(s: Stage) -> "contextlib.AbstractContextManager[list[str]]":
    return quota(s, max_bytes=str(4 * MIB))


def quota_objects(s: Stage) -> "contextlib.AbstractContextManager[list[str]]":
    return quota(s, max_objects="3")


@contextlib.contextmanager
def full(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.make(f"{s.nvme}/filler", size=4 * MIB)
    s.cluster.ceph("osd", "pool", "set-quota", s.nvme, "max_objects", "2")
    try:
        s.cluster.wait_for(lambda: _flags(s) & {"full_quota"}, 40, "a full pool")
        yield [s.source, s.target]
    finally:
        s.cluster.ceph("osd", "pool", "set-quota", s.nvme, "max_objects", "0")
        s.cluster.wait_for(lambda: not _flags(s) & {"full"}, 40, "a pool that is not full")


@contextlib.contextmanager
def nearfull(s: Stage) -> "Iterator[list[str]]":
    s.make()
    s.cluster.ceph("osd", "set-nearfull-ratio", "0.001")
    try:
        s.cluster.wait_for(lambda: _flags(s) & {"nearfull"}, 40, "a pool that is near full")
        yield [s.source, s.target]
    finally:
        s.cluster.ceph("osd", "set-nearfull-ratio", "0.85")
        s.cluster.wait_for(lambda: not _flags(s) & {"nearfull"}, 40, "the end of that")


def _flags(s: Stage) -> "set[str]":
    pools = s.cluster.ceph_json("osd", "dump")["pools"]
    (flags,) = (pool["flags_names"] for pool in pools if pool["pool_name"] == s.nvme)
    return set(flags.split(","))


def _free(s: Stage) -> int:
    return int(s.migration.json("check", s.source, s.target)["bytes_free"])


@contextlib.contextmanager
def sparse(s: Stage, share: float) -> "Iterator[list[str]]":
    """A source whose objects, were they full, would take so much of the free space."""
    s.make(size=4 * MIB, snapshots=())
    with place(s.client, f"{s.hdd}/huge") as ioctx:
        rbd.RBD().create(ioctx, "huge", int(_free(s) * share), order=25)
    with opened(s.client, f"{s.hdd}/huge", read_only=False) as image:
        for offset in range(0, image.size() - 1, 1 << 25):
            image.write(random.Random(offset).randbytes(16), offset)
    yield [f"{s.hdd}/huge", s.target]


def no_space(s: Stage) -> "contextlib.AbstractContextManager[list[str]]":
    return sparse(s, 1.2)


def tight(s: Stage) -> "contextlib.AbstractContextManager[list[str]]":
    return sparse(s, 0.9)


@contextlib.contextmanager
def uncounted(s: Stage) -> "Iterator[list[str]]":
    with place(s.client, s.source) as ioctx:
        rbd.RBD().create(ioctx, "disk", 200 << 30, features=rbd.RBD_FEATURE_LAYERING)
    yield [s.source, s.target]


@contextlib.contextmanager
def dirty_cache(s: Stage) -> "Iterator[list[str]]":
    """The feature bit that librbd sets while a client has a persistent write-back cache."""
    s.make(snapshots=())
    with opened(s.client, s.source) as image:
        header, features = f"rbd_header.{image.id()}", image.features()
    _set_features(s, header, features | DIRTY_CACHE)
    try:
        yield [s.source, s.target]
    finally:
        _set_features(s, header, features)


def _set_features(s: Stage, header: str, bits: int) -> None:
    with place(s.client, s.source) as ioctx, rados.WriteOpCtx() as op:
        ioctx.set_omap(op, ("features",), (struct.pack("<Q", bits),))
        ioctx.operate_write_op(op, header)


@contextlib.contextmanager
def flatten_encrypted(s: Stage) -> "Iterator[list[str]]":
    with parent_elsewhere(s) as (clone, target):
        with opened(s.client, clone, read_only=False) as image:
            image.write(b"RBDL\xba\xbe\x00\x02", 0)  # how librbd formats a clone, from 17 on
        yield [clone, target, "--flatten"]


LIVE_CASES: "dict[str, tuple[Provoke, int]]" = {
    "POOL_MISSING": (pool_missing, ENOENT),
    "NAMESPACE_MISSING": (namespace_missing, ENOENT),
    "POOL_NO_RBD_APPLICATION": (no_application, 0),
    "SOURCE_FORMAT_1": (format_1, 0),
    "FORMAT_1_IN_PLACE": (format_1_in_place, EOPNOTSUPP),
    "SOURCE_MIGRATING": (migrating, EBUSY),
    "SOURCE_IS_TARGET": (is_target, EBUSY),
    "SOURCE_IN_TRASH": (in_trash, ENOENT),
    "SOURCE_MISSING": (missing, ENOENT),
    "TARGET_EXISTS": (target_exists, EEXIST),
    "TARGET_NAME_RESERVED": (reserved, EEXIST),
    "NOTHING_CHANGES": (onto_itself, EINVAL),
    "SOURCE_IN_USE": (in_use, EBUSY),
    "GROUP_SNAPSHOTS": (group_snapshot, EBUSY),
    "MIRROR_SNAPSHOTS": (mirror_snapshot, EBUSY),
    "REMOVED_SNAPSHOTS_WITH_CLONES": (removed_snapshot_with_clone, EBUSY),
    "SOURCE_LOCKED": (locked, EBUSY),
    "CACHE_DIRTY": (dirty_cache, EBUSY),
    "FLATTEN_ENCRYPTED": (flatten_encrypted, EINVAL),
    "OBJECT_MAP_INVALID": (invalid_map, 0),
    "DATA_POOL_LOST": (data_pool, 0),
    "TRASH_NOT_LISTED": (trash_of_users, 0),
    "CLIENTS_SOURCE_POOL": (key_for_target, 0),
    "CLIENTS_TARGET_POOL": (key_for_source, 0),
    "PROTECTED_NEEDS_LAYERING": (without_layering, EINVAL),
    "STRIPE_UNIT": (stripe_unit, EINVAL),
    "OBJECT_MAP_LIMIT": (object_map, EINVAL),
    "FEATURES_NEW": (more_features, 0),
    "FEATURES_LOST": (fewer_features, 0),
    "SOURCE_HAS_CLONES": (clones, 0),
    "READS_OF_OLD_DATA": (old_data, 0),
    "SNAPSHOTS_UNTRIMMED": (untrimmed, 0),
    "SOURCE_MIRRORED": (mirrored, 0),
    "SOURCE_JOURNALING": (journaling, 0),
    "SOURCE_IN_GROUP": (in_group, 0),
    "SOURCE_ENCRYPTED": (encrypted, 0),
    "PROTECTED_SNAPSHOTS": (protected, 0),
    "PARENT_ELSEWHERE": (parent_elsewhere, 0),
    "POOL_FULL": (full, ENOSPC),
    "NO_SPACE": (no_space, ENOSPC),
    "QUOTA_BYTES": (quota_bytes, 122),
    "QUOTA_OBJECTS": (quota_objects, 0),
    "POOL_NEARFULL": (nearfull, 0),
    "SPACE_TIGHT": (tight, 0),
    "BYTES_UNKNOWN": (uncounted, 0),
}


@pytest.mark.parametrize("code", LIVE_CASES)
def test_it_is_found_and_an_error_refuses_to_prepare(code: str, stage: Stage) -> None:
    provoke, errno = LIVE_CASES[code]
    (declared,) = (c for c in CHECKS if c.code == code)
    with provoke(stage) as args:
        before = state(stage)
        result = stage.check(*args)
        found = [f for f in result["findings"] if f["code"] == code]
        assert found, result["findings"]
        assert found[0]["severity"] == declared.severity.value
        assert result["ok"] is all(f["severity"] != "error" for f in result["findings"])
        assert code in stage.migration.text("check", *args, *stage.method_of(args))
        if errno:
            sentence = stage.migration.refused(errno, "prepare", *args)
            # What is free may have changed meanwhile, and so the end of the sentence.
            assert sentence[:30] in [f["message"][:30] for f in result["findings"]]
        assert state(stage) == before


def state(stage: Stage) -> Any:
    """What a check, and a prepare that is refused, must not change."""
    return [
        (sorted(names(stage.client, pool)), trash(stage.client, pool), records(stage.client, pool))
        for pool in (stage.hdd, stage.nvme)
    ]


def test_warnings_are_kept_in_the_timeline(stage: Stage) -> None:
    with journaling(stage) as args:
        stage.migration.text("prepare", *args)
        first = stage.migration.report(stage.target)["timeline"][0]
        assert first["message"] == "asked for (warnings: SOURCE_JOURNALING)"


def test_the_commands_that_a_check_names_rebuild_every_wrong_map(stage: Stage) -> None:
    with invalid_map(stage) as args:
        stage.cluster.rbd("snap", "create", f"{stage.source}@later")  # with the wrong map
        (found,) = (f for f in stage.check(*args)["findings"] if f["code"] == "OBJECT_MAP_INVALID")
        named = [part for part in found["message"].split("`") if part.startswith("rbd ")]
        assert named == [
            f"rbd object-map rebuild {stage.source}",
            f"rbd object-map rebuild {stage.source}@later",
        ]
        for command in named:
            stage.cluster.rbd(*shlex.split(command)[1:])
        codes = [f["code"] for f in stage.check(*args)["findings"]]
        assert "OBJECT_MAP_INVALID" not in codes


def test_an_image_of_format_1_that_plain_rbd_migrates_in_place_is_left_to_plain_rbd(
    stage: Stage,
) -> None:
    with format_1(stage):
        stage.cluster.rbd("migration", "prepare", stage.source, stage.source)
        try:
            for command in (["status"], ["pause"], ["abort", "--force"]):
                args = [*command[:1], stage.source, *command[1:]]
                sentence = stage.migration.refused(EOPNOTSUPP, *args)
                assert "format 1" in sentence
                assert "rbd migration abort" in sentence
        finally:
            stage.cluster.rbd("migration", "abort", stage.source)
        assert "format: 1" in stage.cluster.rbd("info", stage.source)


def test_librbd_keeps_no_data_pool_that_is_not_named_not_even_in_place(stage: Stage) -> None:
    with data_pool(stage):
        codes = [f["code"] for f in stage.check(stage.source, "--object-size", "128K")["findings"]]
        assert codes == ["DATA_POOL_LOST"]
        stage.migration.text("run", stage.source, "--object-size", "128K", "--goal", "committed")
        stage.migration.wait(stage.source, "committed")
        assert "data_pool" not in stage.cluster.rbd("info", stage.source)


def test_nothing_is_found_about_a_plain_image(stage: Stage) -> None:
    stage.make(snapshots=())
    result = stage.check(stage.source, stage.target)
    assert (result["ok"], result["findings"]) == (True, [])
    assert 0 < result["bytes_to_copy"] <= MIB
    assert result["bytes_free"] > MIB
    in_place = stage.check(stage.source, "--object-size", "1M")
    assert (in_place["ok"], in_place["source"]) == (True, in_place["target"])


def test_a_user_sees_what_his_capabilities_cover(cluster: Cluster, stage: Stage) -> None:
    stage.make(snapshots=())
    entity = f"client.look{secrets.token_hex(3)}"
    caps = f"allow module rbd_migration with pool={stage.hdd} rw"
    key = cluster.ceph("auth", "get-or-create", entity, "mon", "profile rbd", "mgr", caps)
    path = cluster.layout.root / f"{entity}.keyring"
    path.write_text(key, encoding="utf-8")
    try:
        done = cluster.run(
            ["ceph", "-n", entity, "-k", str(path), "rbd", "migration", "check",
             stage.source, stage.target],
            check=False,
        )  # fmt: skip
        assert done.returncode == EACCES
        assert "Your capabilities do not cover" in done.stderr
    finally:
        cluster.ceph("auth", "rm", entity)


def test_severities_are_three() -> None:
    assert {c.severity for c in CHECKS} == set(Severity)
