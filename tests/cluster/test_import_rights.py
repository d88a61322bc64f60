"""Where the manager sends config-keys: nowhere for a reader, and only where that is allowed."""

import contextlib
import json
import time
from collections.abc import Iterator
from errno import EACCES, EPERM

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.asking import send
from qa.workload.bucket import upload
from qa.workload.images import names
from qa.workload.images import place as opened_pool
from qa.workload.module_options import module_options
from tests.cluster.commands import Commands, is_one_sentence
from tests.cluster.importing import Listener, Place, exposed, place, text  # noqa: F401 - a fixture

Exposed = "tuple[Listener, str, list[str]]"


@pytest.fixture
def planted(cluster: Cluster) -> "Iterator[tuple[Listener, str, list[str]]]":
    with exposed(cluster) as found:
        yield found


@contextlib.contextmanager
def user(cluster: Cluster, mgr: str) -> "Iterator[rados.Rados]":
    """A client of a user with these capabilities at the manager."""
    name = f"client.test{time.monotonic_ns()}"
    cluster.ceph("auth", "get-or-create", name, "mon", "allow r", "mgr", mgr)
    key = cluster.ceph("auth", "print-key", name).strip()
    connected = rados.Rados(name=name, conffile=str(cluster.conf), conf={"key": key})
    connected.connect(20)
    try:
        yield connected
    finally:
        connected.shutdown()
        cluster.ceph("auth", "del", name)


def asked(client: rados.Rados, command: str, inbuf: str = "", **args: object) -> "tuple[int, str]":
    """The errno of a command, and what it says."""
    request = {"prefix": f"rbd migration {command}", **args}
    code, _, said = send(client, json.dumps(request), inbuf.encode(), timeout=30)
    return -code, said


@pytest.mark.parametrize("mgr", ["allow r", "allow module rbd_migration r"])
def test_a_read_only_user_has_no_config_key_sent_anywhere(
    mgr: str, cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]", planted: Exposed
) -> None:
    listener, _, keys = planted
    plan = f"sends-{time.time_ns()}"
    target = f"{pools[0]}/planned"
    images = [{"source_spec": listener.spec(keys[0]), "target": target}]
    lists = [{"folder": listener.spec(keys[0])["stream"], "type": "raw"}]
    plain = {"plan": plan, "map": {"target_pool": pools[0]}, "images": images, "lists": lists}
    assert asked(client, "plan create", json.dumps(plain)) == (0, "")
    with user(cluster, mgr) as reader:
        for key in keys:
            spec = text(listener.spec(key))
            import_ = {"source_image": target, "import_only": True}
            for command in ("check", "prepare", "run"):
                assert asked(reader, command, spec, **import_)[0] == EACCES
                assert asked(reader, command, **import_, source_spec=spec)[0] == EACCES
        for command in ("plan check", "plan start"):
            assert asked(reader, command, plan=plan)[0] == EACCES
        for command in ("ls", "plan ls", "plan show"):
            assert asked(reader, command, **({"plan": plan} if "show" in command else {}))[0] == 0
    assert listener.received == []
    assert asked(client, "plan rm", plan=plan)[0] == 0


def test_who_may_begin_an_import_gets_only_the_config_keys_that_are_open(
    client: rados.Rados, pools: "tuple[str, str]", planted: Exposed
) -> None:
    listener, secret, (opened, *closed) = planted
    import_ = {"source_image": f"{pools[0]}/x", "import_only": True}
    for key in closed:
        for command in ("check", "prepare", "run"):
            errno, said = asked(client, command, text(listener.spec(key)), **import_)
            assert errno == EPERM
            assert key in said
            assert is_one_sentence(said)
            assert secret not in said
        listed = {"folder": listener.spec(key)["stream"], "type": "raw"}
        plain = {"plan": "closed", "map": {"target_pool": pools[0]}, "lists": [listed]}
        errno, said = asked(client, "plan create", json.dumps(plain))
        assert errno == EPERM
        assert key in said
    assert listener.received == []
    assert names(client, pools[0]) == []
    asked(client, "check", text(listener.spec(opened)), **import_)
    assert any(secret.encode() in sent for sent in listener.received), "the listener works"


@pytest.fixture
def referring(cluster: Cluster, place: Place) -> "Iterator[dict[str, object]]":  # noqa: F811
    """A source-spec of a real bucket, whose keys are config-keys below ``own/``."""
    file = place.folder / "referring.raw"
    file.write_bytes(bytes(range(256)) * 4096)
    stream = upload(file, cluster.s3(), "imports")
    keys = ("access_key", "secret_key")
    for name in keys:
        cluster.ceph("config-key", "set", f"own/{name}", str(stream[name]))
    yield {"type": "raw", "stream": {**stream, **{name: f"config://own/{name}" for name in keys}}}
    for name in keys:
        cluster.ceph("config-key", "rm", f"own/{name}")


def test_an_adopted_import_with_another_config_key_waits_until_that_is_allowed(
    cluster: Cluster, migration: Commands, pool: str, referring: "dict[str, object]"
) -> None:
    """So does one that version 0.1 accepted. It can be aborted meanwhile."""
    target = f"{pool}/adopted"
    cluster.rbd("migration", "prepare", "--import-only", "--source-spec", text(referring), target)
    migration.ask("execute", target_image=target)
    assert migration.report(target)["adopted"]
    cluster.wait_for(lambda: migration.report(target)["hold"], 20, "a hold")
    hold = migration.report(target)["hold"]
    assert hold["reason"] == "operator"
    assert "own/access_key" in hold["message"]
    assert "import_config_keys" in hold["message"]
    with module_options(
        cluster,
        import_config_keys="rbd/migration-source/, own/",
        import_hosts="127.0.0.1, localhost",
        import_config_keys_over_http="true",
    ):
        migration.wait(target, "executed")
        assert "committed" in migration.text("commit", target)


def test_a_source_that_was_exchanged_in_the_header_is_not_opened(
    client: rados.Rados,
    migration: Commands,
    pool: str,
    place: Place,  # noqa: F811
) -> None:
    """librbd opens what the header names, and others may write to the pool."""
    target = f"{pool}/exchanged"
    for name in ("asked.raw", "other.raw"):
        (place.folder / name).write_bytes(name.encode() * 65536)
    spec = {"type": "raw", "stream": {"type": "file", "file_path": f"{place.folder}/asked.raw"}}
    migration.ask("prepare", source_image=target, import_only=True, source_spec=text(spec))
    with opened_pool(client, target) as ioctx:
        header = "rbd_header." + str(id_of(ioctx, "exchanged"))
        size, raw = ioctx.execute(header, "rbd", "migration_get", b"", 1 << 16)
        exchanged = raw[:size].replace(b"asked.raw", b"other.raw")
        # In one step: where a header has gone, the engine ends the import and then finds another.
        with rados.WriteOpCtx() as op:
            ioctx.set_omap(op, ("migration",), (exchanged,))
            ioctx.operate_write_op(op, header)
    migration.raw("execute", target)
    failed = migration.wait(target, "failed")
    assert "names another source" in failed["failure"]["message"]
    assert "aborted" in migration.text("abort", target, "--force")


def id_of(ioctx: rados.Ioctx, name: str) -> str:
    """The id of an image."""
    size, raw = ioctx.execute(f"rbd_id.{name}", "rbd", "get_id", b"", 256)
    return raw[4:size].decode()
