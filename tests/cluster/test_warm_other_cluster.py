"""Migrations by the method ``warm`` from another cluster, as an administrator does them."""

import json
from errno import EBUSY, EINVAL, ENOENT, EPERM

import pytest
import rbd

from qa.model.other_source import OtherSource
from qa.workload.images import (
    MIB,
    content,
    make_image,
    names,
    omap,
    opened,
    place,
    scribble,
    trash,
    wipe,
)
from qa.workload.module_options import module_options
from tests.cluster.importing import text
from tests.cluster.test_hooks import add, receiver  # noqa: F401 - a fixture
from tests.cluster.test_import_native import history, metadata, unprotect
from tests.cluster.test_import_other_cluster import other  # noqa: F401 - a fixture
from tests.cluster.test_import_secrets import (  # noqa: F401 - a fixture
    config_keys,
    leaks,
    loud,
    require_no_secrets,
)

POOL = "leaving"
SOURCE = f"{POOL}/vm"
READER = "client.only-reads"


@pytest.fixture(scope="module")
def far(other):  # noqa: F811
    """The other cluster, with a pool of its own, and a user with write access."""
    with OtherSource.with_pool(*other, "client.move", POOL) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(far):
    yield
    for spec in [f"{POOL}/{name}" for name in names(far.client, POOL)]:
        unprotect(far.client, spec)
    assert wipe(far.client, [POOL])


@pytest.fixture
def asked(far):
    """The arguments of a request for the image."""

    def arguments(**more):
        return {"import_only": True, "source_spec": text(far.spec(SOURCE)), **more}

    return arguments


def write(client, spec, data, offset):
    with opened(client, spec, read_only=False) as image:
        image.write(data, offset)


@pytest.mark.usefixtures("loud")
def test_clients_write_until_the_cutover_and_the_key_is_nowhere(
    cluster,
    client,
    migration,
    pools,
    far,
    tmp_path,
):
    made = far.cluster
    target, secrets, said = f"{pools[0]}/vm", (far.key,), []
    make_image(far.client, SOURCE, size=16 * MIB, snapshots=("one",), protect=("one",))
    file = tmp_path / "spec.json"
    file.write_text(text(far.spec(SOURCE)))

    def ask(*args):
        for style in ([], ["--format", "json"]):
            done = migration.raw(*args, *style)
            said.append(done.stdout + done.stderr)
        return said[-2]

    with opened(far.client, SOURCE, read_only=False) as image:
        image.write(b"client" * 1000, 0)
        assert "SOURCE_OPEN" in ask("check", "--import-only", target, "-i", str(file))
        assert ": prepared" in ask(
            "prepare", "--import-only", target, "-i", str(file), "--verify", "full"
        )
        report = migration.report(target)
        assert (report["method"], report["clients"]) == ("warm", "source")
        assert report["source"] == f"{SOURCE} at 127.0.0.1"
        assert "vm" not in names(client, pools[0])
        assert [key.rpartition("/")[2] for key in config_keys(cluster)] == ["key"]
        ask("execute", target)
        assert leaks(cluster, secrets) == []
        assert migration.wait(target, "executed")["rounds"]["count"] >= 1
        image.write(b"later" * 1000, 5 * MIB)
        scribble(image, 3, ["two"])
        refused = migration.refused(EBUSY, "cutover", target)
        assert f"{SOURCE} at 127.0.0.1 is open for writing by client." in refused
        migration.wait(target, "executed")
    wanted = [view for view in history(far.client, SOURCE) if view[0] in ("one", "two")]
    at_last = content(far.client, SOURCE)
    migration.text("cutover", target)
    report = migration.wait(target, "cut-over")
    assert report["clients"] == "target"
    assert content(client, target) == at_last
    assert (names(far.client, POOL), len(trash(far.client, POOL))) == ([], 1)
    write(client, target, b"of a client", 0)
    assert "leaves the source in the trash of its cluster" in ask("status", target)
    with place(client, target) as ioctx:
        stored = list(omap(ioctx, "rbd_migration").values())
    ask("commit", target)
    report = migration.wait(target, "committed")
    assert report["verification"]["outcome"] == "passed"
    require_no_secrets(cluster, client, pools[0])
    assert history(client, target) == wanted
    assert metadata(client, target) == {}
    said += [cluster.ceph("log", "last", "1000", "debug", "*"), text(report)]
    assert not [answer for answer in said if far.key in answer]
    assert not [value for value in stored if far.key.encode() in value]
    assert leaks(cluster, secrets) == []
    made.rbd("trash", "restore", f"{POOL}/{report['source_image_id']}")
    assert history(far.client, SOURCE) == wanted
    assert content(far.client, SOURCE) == at_last
    assert metadata(far.client, SOURCE) == {}
    write(far.client, SOURCE, b"goes on", 0)
    unprotect(client, target)


@pytest.mark.parametrize("when", ["in mid-copy", "executed", "cut over"])
def test_an_abort_gives_the_source_back_with_all_that_was_written(
    cluster, client, migration, pools, far, asked, when
):
    target = f"{pools[0]}/vm"
    make_image(far.client, SOURCE, snapshots=("one",))
    goal = {"goal": "cut-over"} if when == "cut over" else {"goal": "executed"}
    rate = {"rate": "512K"} if when == "in mid-copy" else {}
    wanted = history(far.client, SOURCE)
    migration.ask("run", source_image=target, **asked(**goal, **rate))
    if when == "in mid-copy":
        cluster.wait_for(lambda: migration.report(target)["bytes_copied"] > 0, 30, "some data")
    else:
        migration.wait(target, goal["goal"])
    used = (client, target) if when == "cut over" else (far.client, SOURCE)
    write(*used, b"of a client" * 100, MIB)
    at_last = content(*used)
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert (names(client, pools[0]), trash(client, pools[0])) == ([], [])
    assert (names(far.client, POOL), trash(far.client, POOL)) == (["vm"], [])
    assert content(far.client, SOURCE) == at_last
    assert history(far.client, SOURCE) == wanted
    assert metadata(far.client, SOURCE) == {}
    write(far.client, SOURCE, b"goes on", 0)
    require_no_secrets(cluster, client, pools[0])


def test_what_is_refused_changes_nothing(cluster, client, migration, pools, far, asked):
    made = far.cluster
    target = f"{pools[0]}/vm"
    make_image(far.client, SOURCE, snapshots=())
    own = {**far.spec(SOURCE), "mon_host": cluster.blueprint.mon_host}
    own.update(key=cluster.ceph("auth", "print-key", "client.admin").strip(), pool_name=pools[0])
    own.update(client_name="client.admin", image_name="own")
    make_image(client, f"{pools[0]}/own", snapshots=())

    def refused(errno, *more, command="prepare", **changes):
        given = {**far.spec(SOURCE), **changes}
        args = (command, "--import-only", target, *more, "--source-spec", text(given))
        return migration.refused(errno, *args)

    osd = ("osd", f"profile rbd-read-only pool={POOL}")
    made.ceph("auth", "get-or-create", READER, "mon", "profile rbd-read-only", *osd)
    key = made.ceph("auth", "print-key", READER).strip()
    said = refused(EPERM, client_name=READER, key=key)
    assert "may not write there" in said
    assert f"profile rbd pool={POOL}" in said
    assert "add snap_name" in refused(EINVAL, "--method", "copy")
    assert "leave out --method warm" in refused(EINVAL, "--method", "warm", snap_name="one")
    assert "is an image of this cluster" in refused(EINVAL, **own)
    assert "leave it out" in refused(EINVAL, "--flatten")
    made.rbd("create", f"{POOL}/trashed", "--size", "1M")
    ident = made.rbd("info", f"{POOL}/trashed", "--format", "json")
    ident = json.loads(ident)["id"]
    made.rbd("trash", "mv", f"{POOL}/trashed")
    said = refused(ENOENT, image_name="trashed", image_id=ident)
    assert f"`rbd trash restore {POOL}/{ident}`" in said
    made.rbd("trash", "rm", f"{POOL}/{ident}")
    made.create_pool(f"{POOL}-data")
    made.rbd("create", f"{POOL}/apart", "--size", "1M", "--data-pool", f"{POOL}-data")
    wanted = f"osd 'profile rbd pool={POOL}, profile rbd pool={POOL}-data'"
    assert wanted in refused(EPERM, image_name="apart")
    made.rbd("rm", f"{POOL}/apart")
    made.delete_pool(f"{POOL}-data")
    with opened(far.client, SOURCE, read_only=False) as image:
        image.write(b"client", 0)
        assert "--goal executed" in refused(EBUSY, command="run")
    assert "agents move guests" in refused(EINVAL, "--cutover", "agent", command="run")
    assert names(client, pools[0]) == ["own"]
    assert config_keys(cluster) == []
    migration.ask("prepare", source_image=target, **asked())
    second = migration.raw(
        "prepare", "--import-only", f"{pools[1]}/vm", "--source-spec", text(far.spec(SOURCE))
    )
    assert second.returncode == EBUSY
    assert "already migrating" in second.stderr
    assert metadata(far.client, SOURCE) == {}
    with opened(far.client, SOURCE) as image:
        assert list(image.list_snaps()) == []
    migration.text("abort", target)


def test_a_cutover_that_waits_until_the_last_client_closes_the_source(
    cluster, client, migration, pools, far, asked
):
    target = f"{pools[0]}/vm"
    make_image(far.client, SOURCE, snapshots=())
    how = {"cutover": "when-closed", "name_changes": True, "goal": "cut-over"}
    with opened(far.client, SOURCE, read_only=False) as image:
        migration.ask("run", source_image=target, **asked(**how))
        seen = "at the moment when the last client closes"
        cluster.wait_for(lambda: seen in migration.text("status", target), 60, "that it waits")
        image.write(b"of a client" * 100, MIB)
    migration.wait(target, "cut-over")
    with opened(client, target) as image:
        assert image.read(MIB, 11) == b"of a client"
    migration.text("commit", target)
    report = migration.wait(target, "committed")
    far.cluster.rbd("trash", "rm", f"{POOL}/{report['source_image_id']}", "--force")


def test_a_hook_stops_the_clients_there(
    client,
    migration,
    pools,
    far,
    asked,
    receiver,  # noqa: F811
):
    target = f"{pools[0]}/vm"
    make_image(far.client, SOURCE, snapshots=())
    add(migration, receiver, "--pool", pools[0])
    with opened(far.client, SOURCE, read_only=False) as image:
        migration.ask("run", source_image=target, **asked(cutover="hook", goal="cut-over"))
        assert receiver.told("before_cutover")["leave"] == f"{SOURCE} at 127.0.0.1"
        image.write(b"of a client" * 100, MIB)
    at_last = content(far.client, SOURCE)
    (receiver.folder / "stopped").touch()
    migration.text("hook", "done", "test", target)
    migration.wait(target, "cut-over")
    assert receiver.told("after_cutover")["start_on"] == target
    assert content(client, target) == at_last
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert content(far.client, SOURCE) == at_last


def test_a_plan_moves_images_here(cluster, client, migration, pools, far, tmp_path):
    key, wanted = "rbd/migration-source/far", {}
    cluster.ceph("config-key", "set", key, far.key)
    images = []
    for name in ("one", "two"):
        make_image(far.client, f"{POOL}/{name}", snapshots=())
        wanted[name] = content(far.client, f"{POOL}/{name}")
        spec = {**far.spec(f"{POOL}/{name}"), "key": f"config://{key}"}
        images.append({"source_spec": spec, "target": f"{pools[0]}/{name}", "method": "warm"})
    file = tmp_path / "plan.json"
    file.write_text(text({"plan": "far", "images": images, "policy": {"verify": "full"}}))
    try:
        migration.text("plan", "create", "-i", str(file))
        migration.text("plan", "start", "far")
        cluster.wait_for(lambda: "2 done" in migration.text("plan", "show", "far"), 60, "its end")
    finally:
        cluster.ceph("config-key", "rm", key)
    assert {name: content(client, f"{pools[0]}/{name}") for name in wanted} == wanted
    for ident in trash(far.client, POOL):
        far.cluster.rbd("trash", "rm", f"{POOL}/{ident.removeprefix('id_')}", "--force")


def test_a_cluster_that_is_out_of_reach(cluster, client, migration, pools, far, asked):
    """It is told; an abort waits for it, and a forced one keeps what was copied."""
    target = f"{pools[0]}/vm"
    make_image(far.client, SOURCE, snapshots=("one",))
    migration.ask("run", source_image=target, **asked(goal="executed"))
    migration.wait(target, "executed")
    at_last = content(far.client, SOURCE)
    with module_options(cluster, import_hosts="192.0.2.0/24"):
        cluster.wait_for(
            lambda: (
                "may not be reached" in migration.raw("execute", target).stderr
                or "may not be reached" in migration.text("status", target)
            ),
            60,
            "the option",
        )
        migration.text("abort", target, "--force")
        migration.wait(target, "aborted")
    assert content(client, target) == at_last
    assert metadata(client, target) == {}
    require_no_secrets(cluster, client, pools[0])
    with opened(far.client, SOURCE) as image:
        left = [s["name"] for s in image.list_snaps() if s["name"] != "one"]
    assert len(left) == 1


def test_an_image_without_the_lock_that_clients_need(client, migration, pools, far, asked):
    """As krbd and others use it: it is copied while closed, and gets its features back."""
    target = f"{pools[0]}/vm"
    make_image(far.client, SOURCE, snapshots=("one",), features=("layering",))
    with opened(far.client, SOURCE) as image:
        before = image.features()
    at_last = content(far.client, SOURCE)
    migration.ask("run", source_image=target, **asked(goal="cut-over"))
    migration.wait(target, "cut-over")
    assert content(client, target) == at_last
    migration.text("abort", target)
    with opened(far.client, SOURCE) as image:
        assert image.features() == before
    with pytest.raises(rbd.ImageNotFound), opened(client, target):
        pass
