"""A secret goes where librbd finds it, for as long as it is needed, and nowhere else."""

import json
import os
import time
from pathlib import Path

import pytest
import rados

from qa.faults.managers import start_dead
from qa.workload.bucket import upload
from qa.workload.images import names, omap, records
from qa.workload.images import place as opened_pool
from tests.cluster.importing import exposed, place, text  # noqa: F401 - a fixture

_LOUD = {
    "mgr": {"debug_mgr": "20", "debug_rbd": "20", "debug_rados": "20", "debug_monc": "20"},
    "mon": {"debug_mon": "20", "debug_auth": "20", "debug_paxos": "20"},
    "osd": {"debug_osd": "20", "debug_objclass": "20", "debug_ms": "1"},
}


@pytest.fixture
def loud(cluster):
    """Every daemon says all that it can."""
    for who, options in _LOUD.items():
        for name, value in options.items():
            cluster.ceph("config", "set", who, name, value)
    yield
    for who, options in _LOUD.items():
        for name in options:
            cluster.ceph("config", "rm", who, name)


@pytest.fixture
def uploaded(cluster, place):  # noqa: F811
    """Makes a raw disk in a bucket of a user of its own, whose keys nothing has seen yet."""
    if not cluster.layout.s3.exists():
        pytest.skip("the cluster has no object gateway")
    name = f"planted-{time.time_ns()}"
    made = cluster.run(["radosgw-admin", "user", "create", "--uid", name, "--display-name", name])
    keys = json.loads(made.stdout)["keys"][0]
    access = {
        "endpoint": cluster.s3()["endpoint"],
        "access_key": keys["access_key"],
        "secret_key": keys["secret_key"],
    }

    def uploaded(file, size=2 << 20):
        path = place.folder / file
        path.write_bytes(os.urandom(size))
        return {"type": "raw", "stream": upload(path, access, name)}

    yield uploaded
    cluster.run(["radosgw-admin", "user", "rm", "--uid", name, "--purge-data"])


def leaks(cluster, secrets):
    """Files of logs and crash reports that hold a secret, and running programs that show one."""
    found = []
    for folder in (cluster.layout.logs, cluster.layout.crashes):
        for path in folder.rglob("*"):
            # The gateway has an object that is called as the access key, and OSDs log that.
            sought = secrets[:1] if path.name.startswith("osd.") else secrets
            if path.is_file() and "rgw" not in path.name and _holds(path, sought):
                found.append(str(path))
    for process in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ"):
            try:
                held = _holds(process / what, secrets)
            except OSError:
                continue  # it ended, or is not ours
            found += [f"{process}/{what}"] if held else []
    return found


def _holds(path, secrets):
    """Whether a file has one of the secrets; logs at their loudest are large."""
    sought = [secret.encode() for secret in secrets]
    kept = b""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            data = kept + piece
            if any(secret in data for secret in sought):
                return True
            kept = data[-max(map(len, sought)) :]
    return False


def config_keys(cluster):
    return [k for k in cluster.ceph_json("config-key", "ls") if k.startswith("rbd/migration/")]


def require_no_secrets(cluster, client, pool):
    """They are removed after a migration has ended, and before its record goes."""
    cluster.wait_for(lambda: records(client, pool) == [], 30, "its record to be in the history")
    assert config_keys(cluster) == []


def test_no_secret_is_seen_anywhere(cluster, client, migration, pool, uploaded, loud, tmp_path):
    target = f"{pool}/disk"
    spec = uploaded("secret.raw")
    secrets = (spec["stream"]["secret_key"], spec["stream"]["access_key"])
    file = tmp_path / "spec.json"
    file.write_text(text(spec))
    said = []

    def ask(*args):
        for style in ([], ["--format", "json"]):
            done = migration.raw(*args, *style)
            said.append(done.stdout + done.stderr)

    ask("check", "--import-only", target, "-i", str(file))
    ask("prepare", "--import-only", target, "-i", str(file), "--verify", "full")
    assert migration.report(target)["state"] == "prepared", said
    keys = config_keys(cluster)
    assert len(keys) == 2
    said.append(cluster.run(["rbd", "status", target, "--format", "json"]).stdout)
    assert "config://rbd/migration/" in said[-1]
    migration.ask("set", target_image=target, rate="1M")
    ask("execute", target)
    time.sleep(0.5)
    assert leaks(cluster, secrets) == []  # its worker runs
    ask("status", target)
    ask("ls")
    with opened_pool(client, target) as ioctx:
        stored = [value for oid in ("rbd_migration",) for value in omap(ioctx, oid).values()]
    migration.ask("set", target_image=target, rate="off")
    migration.wait(target, "executed")
    wrong = {**spec, "stream": {**spec["stream"], "secret_key": secrets[0][::-1]}}
    file.write_text(text(wrong))
    ask("prepare", "--import-only", f"{pool}/other", "-i", str(file))
    assert "secret key" in said[-1]
    ask("verify", target)
    migration.wait(target, "verified")
    ask("commit", target)
    assert migration.report(target)["state"] == "committed"
    require_no_secrets(cluster, client, pool)
    ask("status", target)
    ask("ls", "--all")
    with opened_pool(client, target) as ioctx:
        stored += omap(ioctx, "rbd_migration_history").values()
    said.append(cluster.ceph("health", "detail"))
    said.append(json.dumps(cluster.ceph_json("progress", "json")))
    said.append(cluster.ceph("log", "last", "1000", "debug", "*"))
    for secret in (*secrets, secrets[0][::-1]):
        assert not [text for text in said if secret in text]
        assert not [value for value in stored if secret.encode() in value]
    assert leaks(cluster, secrets) == []


def test_keys_of_the_users_own_are_left_alone(cluster, client, migration, pool, uploaded):
    target = f"{pool}/disk"
    spec = uploaded("own.raw")
    own = "rbd/migration-source/own"
    cluster.ceph("config-key", "set", own, spec["stream"]["secret_key"])
    spec["stream"]["secret_key"] = f"config://{own}"
    with exposed(cluster):
        migration.ask("prepare", source_image=target, import_only=True, source_spec=text(spec))
        assert len(config_keys(cluster)) == 2  # the access key, and one of ``exposed``
        assert "aborted" in migration.text("abort", target)
    require_no_secrets(cluster, client, pool)
    assert own in cluster.ceph_json("config-key", "ls")
    cluster.ceph("config-key", "rm", own)


def test_inline_secrets_and_what_clients_need(cluster, client, migration, pool, uploaded):
    target = f"{pool}/disk"
    spec = uploaded("inline.raw")
    cluster.ceph(
        "auth", "get-or-create", "client.reader", "mon", "profile rbd", "osd",
        f"profile rbd pool={pool}",
    )  # fmt: skip
    try:
        asked = {"source_image": target, "import_only": True, "source_spec": text(spec)}
        found = {f["code"]: f for f in migration.ask("check", **asked)["findings"]}
        assert {"CLIENTS_CONFIG_KEY", "SECRETS_LOGGED"} <= found.keys()
        assert found["CLIENTS_CONFIG_KEY"]["object"] == "client.reader"
        migration.ask("prepare", **asked)
        assert reads(cluster, target) != 0
        granted = found["CLIENTS_CONFIG_KEY"]["remedy"]
        cluster.run(["bash", "-c", granted])
        assert reads(cluster, target) == 0
        assert "aborted" in migration.text("abort", target)
        found = {
            f["code"] for f in migration.ask("check", **asked, inline_secrets=True)["findings"]
        }
        assert "SECRETS_INLINE" in found
        assert "CLIENTS_CONFIG_KEY" not in found
        cluster.ceph("auth", "caps", "client.reader", "mon", "profile rbd", "osd", "profile rbd")
        report = migration.ask("prepare", **asked, inline_secrets=True)
        assert spec["stream"]["secret_key"] not in json.dumps(report)
        assert reads(cluster, target) == 0
        assert len(config_keys(cluster)) == 2
    finally:
        cluster.ceph("auth", "rm", "client.reader")


def reads(cluster, target):
    """The exit code of an ordinary client that reads the target."""
    key = cluster.ceph("auth", "print-key", "client.reader").strip()
    command = ["rbd", "--id", "reader", "--key", key, "export", "--no-progress", target, "-"]
    return cluster.run(
        ["bash", "-c", 'exec "$@" >/dev/null', "_", *command], check=False
    ).returncode


def test_a_refusal_leaves_no_secret(cluster, client, migration, pool, uploaded):
    spec = uploaded("refused.raw")
    spec["stream"]["url"] += ".not"
    done = migration.raw("prepare", "--import-only", f"{pool}/x", "--source-spec", text(spec))
    assert done.returncode != 0
    assert config_keys(cluster) == []
    assert names(client, pool) == []


def test_a_manager_that_dies_with_a_secret_in_its_hand(cluster, client, migration, pool, uploaded):
    spec = uploaded("dies.raw")
    (cluster.faults / "secrets.after").write_text("2 put", encoding="ascii")
    migration.raw("prepare", "--import-only", f"{pool}/x", "--source-spec", text(spec), timeout=120)
    start_dead(cluster)
    cluster.wait_module()
    cluster.wait_for(lambda: config_keys(cluster) == [] or migration.under_way(), 60, "the sweep")
    for report in migration.under_way():  # the CLI asked the next manager again
        assert "aborted" in migration.text("abort", report["target"])
    cluster.wait_for(lambda: config_keys(cluster) == [], 30, "its secrets to be gone")


def test_the_secrets_of_a_record_that_cannot_be_read_are_kept(cluster, client, migration, pool):
    """A later version wrote it, and will go on with it."""
    kept, left = "rbd/migration/later/secret_key", "rbd/migration/gone/secret_key"
    with opened_pool(client, f"{pool}/-") as ioctx, rados.WriteOpCtx() as op:
        ioctx.set_omap(op, ("migration.later",), (b'{"schema": 99, "id": "later"}',))
        ioctx.operate_write_op(op, "rbd_migration")
    for key in (kept, left):
        cluster.ceph("config-key", "set", key, "a secret")
    cluster.mgr_fail()
    try:
        cluster.wait_for(lambda: left not in config_keys(cluster), 60, "the sweep")
        assert config_keys(cluster) == [kept]
    finally:
        cluster.ceph("config-key", "rm", kept)
