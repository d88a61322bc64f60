"""Refusals: the errno, one sentence that says why, and nothing changed.

One set of images in all the situations that matter serves all rows of the table.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EAGAIN, EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import (
    KIB,
    MIB,
    make_image,
    make_old_format,
    omap,
    opened,
    place,
    wipe,
)
from qa.workload.writer import Writer, writing
from tests.cluster.commands import Commands
from tests.cluster.conftest import MakePool


@dataclass
class World:
    """Pool ``one`` has the sources, ``two`` the targets; ``one/ns`` is a namespace."""

    one: str
    two: str
    writer: Writer
    client: rados.Rados
    before: "dict[str, Any]" = field(default_factory=dict)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Fails when anything has changed at the end of the block."""
        self.before = self.before or everything(self.client, self)
        before, self.before = self.before, {}
        yield
        after = everything(self.client, self)
        assert after == before
        self.before = after

    def spell(self, text: str) -> str:
        """The text with the names of the pools filled in."""
        return text.replace("one/", f"{self.one}/").replace("two/", f"{self.two}/")


@pytest.fixture(scope="module")
def world(cluster: Cluster, client: rados.Rados, migration: Commands) -> Iterator[World]:
    one, two = cluster.create_pool("refusals-one"), cluster.create_pool("refusals-two")
    try:
        cluster.rbd("namespace", "create", f"{one}/ns")
        for name in ("disk", "busy", "moving", "plain", "copied", "done", "undone"):
            make_image(client, f"{one}/{name}", size=MIB, object_size=64 * KIB, snapshots=())
        make_image(client, f"{one}/protected", size=MIB, snapshots=["s"], protect=["s"])
        make_image(client, f"{one}/parent", size=MIB, snapshots=["s"], protect=["s"])
        cluster.rbd("clone", f"{one}/parent@s", f"{one}/child")
        make_image(client, f"{two}/taken", size=MIB, snapshots=())
        make_old_format(client, f"{one}/old", MIB)
        cluster.rbd("migration", "prepare", f"{one}/plain", f"{two}/plain")
        migration.text("prepare", f"{one}/moving", f"{two}/moving")
        for name, goal in (("copied", "executed"), ("parent", "executed"), ("done", "committed")):
            migration.text(
                "run", "--method", "live", f"{one}/{name}", f"{two}/{name}", "--goal", goal
            )
            migration.wait(f"{two}/{name}", goal)
        migration.text("prepare", f"{one}/undone", f"{two}/undone")
        migration.text("abort", f"{two}/undone")
        migration.wait(f"{two}/undone", "aborted")
        with writing(cluster, f"{one}/busy", rate=2) as writer:
            yield World(one, two, writer, client)
    finally:
        with contextlib.suppress(rados.Error):
            cluster.run(["rbd", "migration", "abort", f"{two}/plain"], check=False)
        migration.clean_up([one, two])
        wipe(client, [one, two])
        cluster.delete_pool(one)
        cluster.delete_pool(two)


def everything(client: rados.Rados, world: World) -> "dict[str, Any]":
    """All that a refused command could have changed."""
    found: dict[str, Any] = {}
    for pool, namespace in ((world.one, ""), (world.one, "ns"), (world.two, "")):
        with client.open_ioctx(pool) as ioctx:
            ioctx.set_namespace(rados.LIBRADOS_ALL_NSPACES)
            found[pool] = {each.key for each in ioctx.list_objects()} - {"rbd_trash"}
        with place(client, f"{pool}/{namespace}/-") as ioctx:
            for oid in ("rbd_directory", "rbd_trash", "rbd_task"):
                found[f"{pool}/{namespace}/{oid}"] = omap(ioctx, oid)
            for oid in ("rbd_migration", "rbd_migration_history"):
                stored = omap(ioctx, oid)
                stored.pop("tally", None)  # counters, which are kept now and then
                found[f"{pool}/{namespace}/{oid}"] = stored
    return found


PREPARE: "list[tuple[str, int, list[str]]]" = [
    ("one/nonesuch two/new", ENOENT, ["one/nonesuch"]),
    ("nopool/disk two/new", ENOENT, ["nopool"]),
    ("one/disk nopool/new", ENOENT, ["nopool"]),
    ("one/nons/disk two/new", ENOENT, ["nons"]),
    ("one/disk two/nons/new", ENOENT, ["nons"]),
    ("one/ns/disk two/new", ENOENT, ["one/ns/disk"]),
    ("one/disk two/new --data-pool nopool", ENOENT, ["nopool"]),
    (
        "one/disk two/new --image-feature exclusive-lock,journaling --journal-pool nopool",
        ENOENT,
        ["nopool"],
    ),
    ("one/disk two/taken", EEXIST, ["two/taken", "exists"]),
    ("one/disk two/moving", EEXIST, ["two/moving", "one/moving"]),
    ("one/disk two/plain", EEXIST, ["two/plain", "migration"]),
    ("one/disk one/busy", EEXIST, ["one/busy"]),
    ("one/moving two/moving --object-size 64K", EEXIST, ["another layout"]),
    ("one/moving two/new", EBUSY, ["one/moving", "two/moving"]),
    ("one/plain two/new", EBUSY, ["one/plain", "two/plain"]),
    ("two/moving two/new", EBUSY, ["two/moving", "one/moving"]),
    ("two/moving", EEXIST, ["two/moving", "one/moving"]),
    ("two/plain one/new", EBUSY, ["two/plain", "one/plain"]),
    ("one/moving", EBUSY, ["two/moving"]),
    ("one/plain", EBUSY, ["two/plain"]),
    ("one/old --object-size 64K", EOPNOTSUPP, ["format 1", "another name"]),
    ("one/protected two/new --image-feature exclusive-lock", EINVAL, ["'s'", "layering"]),
    # specs
    ("a/b/c/d two/new", EINVAL, ["source", "'a/b/c/d'", "[pool/[namespace/]]image"]),
    ("one/disk a/b/c/d", EINVAL, ["target", "'a/b/c/d'"]),
    ("one/disk@snap two/new", EINVAL, ["source", "snapshot"]),
    ("one/disk two/new@snap", EINVAL, ["target", "snapshot"]),
    ("one/ two/new", EINVAL, ["source"]),
    ("/disk two/new", EINVAL, ["source", "'/disk'"]),
    ("one//disk two/new", EINVAL, ["source"]),
    ("one/disk two/", EINVAL, ["target"]),
    # sizes and counts
    ("one/disk two/new --object-size 3M", EINVAL, ["--object-size", "'3M'", "power of two"]),
    ("one/disk two/new --object-size 2K", EINVAL, ["--object-size", "4 KiB"]),
    ("one/disk two/new --object-size 64M", EINVAL, ["--object-size", "32 MiB"]),
    ("one/disk two/new --object-size big", EINVAL, ["--object-size", "'big'"]),
    ("one/disk two/new --object-size 0", EINVAL, ["--object-size"]),
    ("one/disk two/new --object-size 4MM", EINVAL, ["--object-size"]),
    ("one/disk two/new --object-size 99999999999999999999P", EINVAL, ["--object-size"]),
    ("one/disk two/new --stripe-unit 64K", EINVAL, ["--stripe-unit", "--stripe-count"]),
    ("one/disk two/new --stripe-count 2", EINVAL, ["--stripe-unit", "--stripe-count"]),
    ("one/disk two/new --stripe-unit 64K --stripe-count 0", EINVAL, ["--stripe-count"]),
    (
        "one/disk two/new --object-size 64K --stripe-unit 128K --stripe-count 2",
        EINVAL,
        ["--stripe-unit"],
    ),
    ("one/disk two/new --stripe-unit 1000 --stripe-count 2", EINVAL, ["--stripe-unit"]),
    ("one/disk two/new --stripe-unit 1M --stripe-count 2", EINVAL, ["object size"]),
    ("one/disk two/new --journal-object-size 3K", EINVAL, ["--journal-object-size"]),
    ("one/disk two/new --journal-splay-width 0", EINVAL, ["--journal-splay-width"]),
    # features and formats
    ("one/disk two/new --image-feature warp", EINVAL, ["'warp'", "layering"]),
    ("one/disk two/new --image-feature object-map", EINVAL, ["object-map", "exclusive-lock"]),
    (
        "one/disk two/new --image-feature exclusive-lock,fast-diff",
        EINVAL,
        ["fast-diff", "object-map"],
    ),
    ("one/disk two/new --image-feature journaling", EINVAL, ["journaling", "exclusive-lock"]),
    (
        "one/disk two/new --image-shared --image-feature exclusive-lock",
        EINVAL,
        ["--image-shared", "exclusive-lock"],
    ),
    ("one/disk two/new --image-format 1", EINVAL, ["--image-format", "2"]),
    ("one/disk two/new --image-format 3", EINVAL, ["--image-format", "2"]),
]

OTHERS: "list[tuple[str, int, list[str]]]" = [
    ("run one/disk two/new --goal finished", EINVAL, ["'finished'", "committed"]),
    ("run one/disk two/new --goal aborted", EINVAL, ["'aborted'"]),
    ("run one/disk two/taken", EEXIST, ["two/taken"]),
    ("commit two/moving", EAGAIN, ["two/moving", "prepared", "execute"]),
    ("abort two/done", EINVAL, ["two/done", "committed"]),
    ("abort two/done --force", EINVAL, ["two/done", "committed"]),
    ("commit two/done", EINVAL, ["committed"]),
    ("execute two/done", EINVAL, ["committed"]),
    ("pause two/done", EINVAL, ["committed"]),
    ("abort two/undone", EINVAL, ["aborted"]),
    ("execute two/undone", EINVAL, ["aborted"]),
    ("retry two/moving", EINVAL, ["two/moving", "not failed"]),
    *[
        (f"{command} two/nonesuch", ENOENT, ["two/nonesuch", "ceph rbd migration ls"])
        for command in (
            "status",
            "execute",
            "commit",
            "abort",
            "cancel",
            "pause",
            "resume",
            "retry",
        )
    ],
    ("status one/disk", ENOENT, ["one/disk"]),
    ("execute one/disk", ENOENT, ["one/disk"]),
    ("status nopool/disk", ENOENT, ["nopool"]),
    ("execute nopool/disk", ENOENT, ["nopool"]),
    ("status one/nons/disk", ENOENT, ["nons"]),
    ("status a/b/c/d", EINVAL, ["'a/b/c/d'"]),
    ("abort two/moving@s", EINVAL, ["snapshot"]),
    ("ls --state lost", EINVAL, ["'lost'", "executing"]),
    ("ls --format xml", EINVAL, ["xml", "json"]),
    ("status two/moving --format yaml", EINVAL, ["yaml"]),
]

#: Known bugs: commands that are not refused as they should be, and why.
BUGS: "dict[str, str]" = {}


def _rows(table: "list[tuple[str, int, list[str]]]", command: str = "") -> "list[Any]":
    return [
        pytest.param(
            f"{command}{args}",
            code,
            words,
            id=args,
            marks=[pytest.mark.xfail(strict=True, reason=BUGS[args])] if args in BUGS else [],
        )
        for args, code, words in table
    ]


@pytest.mark.parametrize(
    ("command", "code", "words"), [*_rows(PREPARE, "prepare "), *_rows(OTHERS)]
)
def test_refused(
    command: str,
    code: int,
    words: "list[str]",
    world: World,
    migration: Commands,
) -> None:
    try:
        with world.unchanged():
            sentence = migration.refused(code, *world.spell(command).split())
    except AssertionError:
        migration.raw("abort", f"{world.two}/new", "--force")
        raise
    missing = [word for word in words if world.spell(word) not in sentence]
    assert not missing, sentence


@pytest.mark.parametrize("command", ["prepare", "run"])
def test_a_source_in_use(command: str, world: World, migration: Commands) -> None:
    with world.unchanged():
        sentence = migration.refused(EBUSY, command, f"{world.one}/busy", f"{world.two}/new")
    assert f"client.{world.writer.client_id} at 127.0.0.1:" in sentence
    assert sentence.split(" at ")[1].split(" ")[0].rstrip(",;") in world.writer.address
    world.writer.wait_acked()


@pytest.mark.parametrize("command", ["prepare", "execute", "status"])
def test_an_empty_spec(command: str, world: World, migration: Commands) -> None:
    """As an argument that is there and empty; for status it is the same as none."""
    if command == "status":
        assert isinstance(migration.json("status", ""), list)
        return
    done = migration.raw(command, "")
    assert done.returncode == EINVAL
    assert "Traceback" not in done.stderr


def test_a_source_that_is_only_read_is_not_in_use(
    migration: Commands, client: rados.Rados, make_pool: MakePool
) -> None:
    pool = make_pool()
    make_image(client, f"{pool}/disk", size=MIB)
    with opened(client, f"{pool}/disk"):
        migration.text("prepare", f"{pool}/disk", f"{pool}/new")
    migration.text("abort", f"{pool}/new")
    assert migration.wait(f"{pool}/new", "aborted")


def test_a_commit_that_needs_force(world: World, migration: Commands) -> None:
    with world.unchanged():
        sentence = migration.refused(EBUSY, "commit", f"{world.two}/parent")
    assert f"{world.one}/child" in sentence
    assert "--force" in sentence
