"""From bare managers to running ones of differing versions and back, with install.sh.

The tests are one story on one cluster, in the order of the file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import rados

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.devcluster.layout import REPOSITORY
from qa.workload.images import KIB, MIB, digests, make_image, omap, place
from tests.cluster.commands import Commands
from tests.cluster.installation import FIELD, NEWER, install, installer, newer_tree, restart
from tests.cluster.verification import POINT


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two managers without the module, and the pools old and new."""
    with Cluster(tmp_path_factory.mktemp("bare")) as cluster:
        cluster.up(ClusterOptions(mgrs=2, module=False, conf=FAST_FAILOVER))
        for name in ("old", "new"):
            cluster.create_pool(name)
        yield cluster


@pytest.fixture(scope="module")
def admin(bare: Cluster) -> Iterator[rados.Rados]:
    with bare.connect() as connected:
        yield connected


@pytest.fixture(scope="module")
def migrate(bare: Cluster, admin: rados.Rados) -> Commands:
    return Commands(bare, admin)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return newer_tree(tmp_path_factory.mktemp("newer"))


def files(cluster: Cluster, manager: str) -> "set[str]":
    """All of a module directory that is no link to the system's."""
    top = cluster.layout.modules_of(manager)
    return {str(p.relative_to(top)) for p in top.rglob("*") if p.is_file() and not p.is_symlink()}


def record(admin: rados.Rados, target: str) -> "dict[str, bytes]":
    """The stored record of the only migration under way into the target's pool."""
    with place(admin, target) as ioctx:
        stored = omap(ioctx, "rbd_migration")
    return {key: value for key, value in stored.items() if key.startswith("migration.")}


def at_rest(admin: rados.Rados, target: str) -> "dict[str, bytes]":
    """The same once nothing acts on it and nothing remains to be done; empty until then."""
    stored = record(admin, target)
    plain = [json.loads(raw) for raw in stored.values()]
    return stored if all(m.get("step") is None and m.get("settled") for m in plain) else {}


def test_a_dry_run_changes_nothing(bare: Cluster) -> None:
    before = files(bare, "a")
    said = install(bare, "a", "--dry-run")
    assert "would run: " in said
    assert files(bare, "a") == before


def test_installed_and_enabled_it_migrates(
    bare: Cluster, migrate: Commands, admin: rados.Rados
) -> None:
    for manager in bare.mgrs():
        said = install(bare, manager)
        assert "systemctl restart ceph-mgr.target" in said
        assert (bare.layout.modules_of(manager) / "rbd_migration/module.py").is_file()
        assert (bare.layout.modules_of(manager) / "rbdmigrate/__init__.py").is_file()
    bare.mgr_restart()
    bare.ceph("mgr", "module", "enable", "rbd_migration")
    bare.wait_mgrs()
    make_image(admin, "old/disk")
    before = digests(admin, "old/disk")
    migrate.text("run", "old/disk", "new/disk")
    migrate.wait("new/disk", "committed")
    assert digests(admin, "new/disk") == before


@pytest.mark.timeout(400)
def test_managers_of_differing_versions(
    bare: Cluster, migrate: Commands, admin: rados.Rados, newer: Path
) -> None:
    """Host by host, with a copy under way: the older one leaves alone what the newer one wrote."""
    target = "new/busy"
    make_image(admin, "old/busy", 32 * MIB, 256 * KIB)
    before = digests(admin, "old/busy")
    migrate.text("throttle", "set", "--rate", "512K")
    migrate.text("run", "old/busy", target, "--method", "live")
    migrate.wait_percent(target, 3)

    older = bare.active_mgr()
    updated = next(name for name in bare.mgrs() if name != older)
    assert older is not None
    assert f"replaces {_version(bare, older)}" in install(bare, updated, tree=newer)
    restart(bare, updated)
    assert migrate.wait_percent(target, 3)["id"]  # the standby's restart disturbs nothing

    bare.mgr_fail()
    assert bare.active_mgr() == updated
    migrate.wait_percent(target, 3, timeout=60)
    bare.wait_for(
        lambda: all(FIELD in json.loads(raw) for raw in record(admin, target).values()),
        30,
        "a record of the newer version",
    )
    migrate.text("pause", target)
    written = bare.wait_for(lambda: at_rest(admin, target), 30, "it to rest")
    assert len(written) == 1

    bare.mgr_fail()
    assert bare.active_mgr() == older
    bare.wait_for(lambda: "RBD_MIGRATION_RECORD" in bare.health()["checks"], 40, "the warning")
    detail = bare.ceph("health", "detail")
    assert next(iter(written)) in detail
    assert f"unknown field '{FIELD}'" in detail
    for command in ("status", "execute", "commit", "abort", "resume", "cancel", "retry"):
        assert "left alone" in migrate.refused(95, command, target)
    assert "left alone" in migrate.refused(95, "prepare", "old/busy", "new/other")
    assert "left alone" in migrate.refused(95, "prepare", "old/other", target)
    spec = json.dumps({"type": "raw", "stream": {"type": "file", "file_path": "/tmp/disk.raw"}})
    importing = ("prepare", "--import-only", target, "--source-spec", spec)
    assert "left alone" in migrate.refused(95, *importing)
    assert migrate.under_way() == []
    assert record(admin, target) == written

    install(bare, older, tree=newer)
    make_image(admin, "old/between")
    said = migrate.raw("prepare", "old/between", "new/between").stderr
    assert "restart the manager" in said  # its workers are of the newer version already
    bare.mgr_fail()
    assert bare.active_mgr() == updated
    restart(bare, older)
    migrate.text("prepare", "old/between", "new/between")
    migrate.wait("new/between", "prepared")
    migrate.text("throttle", "clear")
    migrate.text("resume", target)
    migrate.wait(target, "committed", timeout=90)
    assert digests(admin, target) == before
    bare.wait_for(lambda: "RBD_MIGRATION_RECORD" not in bare.health()["checks"], 30, "no warning")


def test_an_older_version_is_not_put_over_a_newer_one(bare: Cluster) -> None:
    before = files(bare, "a")
    done = installer(bare, "a")
    assert done.returncode == 1
    assert f"version {NEWER} is installed" in done.stderr
    assert files(bare, "a") == before


def test_it_is_not_taken_from_under_the_managers(bare: Cluster) -> None:
    done = installer(bare, "a", "--uninstall")
    assert done.returncode == 1
    assert "ceph mgr module disable rbd_migration" in done.stderr


def test_uninstalled_nothing_of_it_is_left(bare: Cluster) -> None:
    bare.ceph("mgr", "module", "disable", "rbd_migration")
    for manager in bare.mgrs():
        assert "removing" in install(bare, manager, "--uninstall")
        assert not [name for name in files(bare, manager) if "rbd" in name and "migrat" in name]
        assert "not installed" in install(bare, manager, "--uninstall")
    bare.mgr_restart()
    bare.wait_for(lambda: bare.health()["status"] == "HEALTH_OK", 30, "HEALTH_OK")
    done = bare.run(["ceph", "rbd", "migration", "ls"], check=False)
    assert done.returncode == 22


def test_installed_again_it_carries_on_what_rested(
    bare: Cluster, migrate: Commands, admin: rados.Rados, newer: Path
) -> None:
    """The same over itself too, with managers that run."""
    views = digests(admin, "new/between")
    before = {view: sum_ for view, sum_ in views.items() if not view.startswith(POINT)}
    for manager in bare.mgrs():
        install(bare, manager, tree=newer)
    bare.mgr_restart()
    bare.ceph("mgr", "module", "enable", "rbd_migration")
    bare.wait_mgrs()
    assert migrate.report("new/between")["state"] == "prepared"
    for manager in bare.mgrs():
        assert f"replaces {NEWER}" in install(bare, manager, tree=newer)
    migrate.text("execute", "new/between")
    migrate.wait("new/between", "executed")
    migrate.text("verify", "new/between")  # it has snapshots
    migrate.wait("new/between", "verified")
    migrate.text("commit", "new/between")
    migrate.wait("new/between", "committed")
    assert digests(admin, "new/between") == before


def _version(cluster: Cluster, manager: str) -> str:
    text = (cluster.layout.modules_of(manager) / "rbdmigrate/__init__.py").read_text("utf-8")
    return text.split('__version__ = "')[1].split('"')[0]


def test_cephadm_takes_the_specification_of_the_managers(bare: Cluster) -> None:
    """Its own parser does: there are no containers here to start."""
    service_spec = pytest.importorskip("ceph.deployment.service_spec")
    script = str(REPOSITORY / "packaging" / "cephadm" / "mgr_spec.py")
    plain = json.dumps({"service_type": "mgr", "placement": {"count": 2}})
    said = bare.run([script, "/opt/rbd_migration"], input=plain).stdout
    spec = service_spec.ServiceSpec.from_json(json.loads(said.partition("---")[2]))
    spec.validate()
    assert len(spec.to_json()["extra_container_args"]) == 3
