"""The findings of the method warm, each provoked on the real cluster, and what its remedy does."""

import contextlib
import json
import shlex
from collections.abc import Iterator
from errno import EBUSY, EDQUOT, EINVAL, EOPNOTSUPP
from typing import Any, Callable

import pytest

from qa.workload.images import MIB
from qa.workload.writer import Writer, writing
from rbdmigrate.checks import CHECKS
from tests.cluster.importing import IMPORT_CASES
from tests.cluster.stage import Stage
from tests.cluster.test_preflight import (
    LIVE_CASES,
    clones,
    dirty_cache,
    flatten_encrypted,
    format_1,
    in_group,
    journaling,
    mirror_snapshot,
    mirrored,
    nearfull,
    state,
)

Provoke = Callable[[Stage], "contextlib.AbstractContextManager[list[str]]"]


@contextlib.contextmanager
def without_lock(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=(), features=["layering"])
    yield [s.source, s.target]


@contextlib.contextmanager
def used_by(s: Stage, features: "list[str]") -> "Iterator[Writer]":
    s.make(size=8 * MIB, snapshots=(), features=features)
    with writing(s.cluster, s.source) as writer:
        writer.wait_acked(3)
        yield writer
        writer.stop()


@contextlib.contextmanager
def open_without_lock(s: Stage) -> "Iterator[list[str]]":
    with used_by(s, ["layering"]):
        yield [s.source, s.target]


@contextlib.contextmanager
def open_with_lock(s: Stage) -> "Iterator[list[str]]":
    with used_by(s, ["layering", "exclusive-lock"]):
        yield [s.source, s.target]


@contextlib.contextmanager
def limited(s: Stage) -> "Iterator[list[str]]":
    s.make(snapshots=["monday", "tuesday"])
    s.cluster.rbd("snap", "limit", "set", s.source, "--limit", "4")
    yield [s.source, s.target]


@contextlib.contextmanager
def parent_trashed(s: Stage) -> "Iterator[list[str]]":
    base, clone = f"{s.hdd}/base", f"{s.hdd}/clone"
    s.make(base)
    s.cluster.rbd("clone", f"{base}@one", clone, "--rbd-default-clone-format", "2")
    s.cluster.rbd("trash", "mv", base)
    try:
        yield [clone, s.target]
    finally:
        (entry,) = json.loads(s.cluster.rbd("trash", "ls", s.hdd, "--format", "json"))
        s.cluster.rbd("trash", "restore", f"{s.hdd}/{entry['id']}")


WARM_CASES: "dict[str, tuple[Provoke, int]]" = {
    "NO_EXCLUSIVE_LOCK": (open_without_lock, EBUSY),
    "SOURCE_STAYS_CLOSED": (without_lock, 0),
    "SOURCE_OPEN": (open_with_lock, 0),
    "NAME_CHANGES": (open_with_lock, 0),
    "WARM_MIRRORED": (mirrored, EOPNOTSUPP),
    "MIRROR_SNAPSHOTS": (mirror_snapshot, EBUSY),
    "WARM_JOURNALING": (journaling, EOPNOTSUPP),
    "WARM_IN_GROUP": (in_group, EOPNOTSUPP),
    "WARM_CLONES": (clones, EOPNOTSUPP),
    "WARM_PARENT": (parent_trashed, EOPNOTSUPP),
    "WARM_FORMAT_1": (format_1, EOPNOTSUPP),
    "SNAPSHOT_LIMIT": (limited, EDQUOT),
    "SOURCE_POOL_NEARFULL": (nearfull, 0),
    "CACHE_DIRTY": (dirty_cache, EBUSY),
    "FLATTEN_ENCRYPTED": (flatten_encrypted, EINVAL),
}


def test_every_check_is_provoked_or_says_why_not() -> None:
    provoked = {*LIVE_CASES, *IMPORT_CASES, *WARM_CASES}
    assert {c.code for c in CHECKS if not c.untested} == provoked


def warm(stage: Stage, *args: str) -> "dict[str, Any]":
    """What a check for the method warm finds, by code."""
    result = stage.check(*args, "--method", "warm")
    return {finding["code"]: finding for finding in result["findings"]}


@pytest.mark.parametrize("code", WARM_CASES)
def test_it_is_found_and_an_error_refuses_the_method(code: str, stage: Stage) -> None:
    provoke, errno = WARM_CASES[code]
    (declared,) = (c for c in CHECKS if c.code == code)
    with provoke(stage) as args:
        before = state(stage)
        found = warm(stage, *args)
        assert code in found
        assert found[code]["severity"] == declared.severity.value
        assert declared.errno == errno
        (judged,) = (m for m in stage.check(*args)["methods"] if m["method"] == "warm")
        errors = [f["code"] for f in found.values() if f["severity"] == "error"]
        assert judged["ok"] is (not errors)
        assert judged["code"] == "".join(errors[:1])
        if errno:
            sentence = stage.migration.refused(errno, "prepare", *args, "--method", "warm")
            assert sentence.startswith(found[code]["message"][:30])
        assert state(stage) == before


def follow(stage: Stage, remedy: str) -> None:
    """Run a remedy as it is written."""
    stage.cluster.run(shlex.split(remedy))


def test_the_feature_can_be_enabled_while_a_client_writes(stage: Stage) -> None:
    with used_by(stage, ["layering"]) as writer:
        args = [stage.source, stage.target]
        follow(stage, warm(stage, *args)["NO_EXCLUSIVE_LOCK"]["remedy"])
        writer.wait_acked(3)
        found = warm(stage, *args)
        assert "NO_EXCLUSIVE_LOCK" not in found
        assert "holds the exclusive lock" in found["SOURCE_OPEN"]["message"]


def test_an_image_taken_out_of_its_group_may_be_warm(stage: Stage) -> None:
    with in_group(stage) as args:
        follow(stage, warm(stage, *args)["WARM_IN_GROUP"]["remedy"])
        assert "WARM_IN_GROUP" not in warm(stage, *args)


def test_a_limit_that_was_raised_leaves_room(stage: Stage) -> None:
    with limited(stage) as args:
        follow(stage, warm(stage, *args)["SNAPSHOT_LIMIT"]["remedy"])
        assert "SNAPSHOT_LIMIT" not in warm(stage, *args)


def test_a_clone_of_a_snapshot_is_flattened(stage: Stage) -> None:
    with clones(stage) as args:
        follow(stage, warm(stage, *args)["WARM_CLONES"]["remedy"])
        assert "WARM_CLONES" not in warm(stage, *args)


def test_a_journal_is_disabled(stage: Stage) -> None:
    with journaling(stage) as args:
        follow(stage, warm(stage, *args)["WARM_JOURNALING"]["remedy"])
        assert "WARM_JOURNALING" not in warm(stage, *args)


def test_the_mirroring_is_ended(stage: Stage) -> None:
    with mirrored(stage) as args:
        follow(stage, warm(stage, *args)["WARM_MIRRORED"]["remedy"])
        found = warm(stage, *args)
        assert "WARM_MIRRORED" not in found


def test_the_ends_of_a_warm_migration_are_known_before_and_after_its_cutover(stage: Stage) -> None:
    def errors(source: str, target: str) -> "list[str]":
        findings = stage.check(source, target)["findings"]
        return [f["code"] for f in findings if f["severity"] == "error"]

    other, new = f"{stage.hdd}/other", f"{stage.nvme}/new"
    stage.make(snapshots=())
    stage.make(other, snapshots=())
    stage.migration.text("prepare", stage.source, stage.target, "--method", "warm")
    hidden = f"{stage.nvme}/rbd_migration.{stage.migration.report(stage.target)['id']}"
    assert errors(stage.source, new) == ["SOURCE_MIGRATING"]
    assert errors(other, stage.target) == ["TARGET_EXISTS"]
    assert errors(hidden, new) == ["SOURCE_IS_TARGET"]
    stage.migration.text("execute", stage.target)
    stage.migration.wait(stage.target, "executed")
    stage.migration.text("cutover", stage.target)
    stage.migration.wait(stage.target, "cut-over")
    assert errors(stage.source, new) == ["SOURCE_MIGRATING"]
    assert errors(other, stage.source) == ["TARGET_NAME_RESERVED"]
    assert errors(stage.target, new) == ["SOURCE_IS_TARGET"]
    assert errors(other, stage.target) == ["TARGET_EXISTS"]


def test_warm_is_recommended_where_it_can_do_the_job_else_live(stage: Stage) -> None:
    stage.make()
    both = stage.check(stage.source, stage.target)["methods"]
    assert [(m["method"], m["ok"], m["recommended"]) for m in both] == [
        ("warm", True, True),
        ("live", True, False),
    ]
    stage.cluster.rbd("feature", "enable", stage.source, "journaling")
    both = stage.check(stage.source, stage.target)["methods"]
    assert [(m["method"], m["code"], m["recommended"]) for m in both] == [
        ("warm", "WARM_JOURNALING", False),
        ("live", "", True),
    ]
