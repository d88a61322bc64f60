"""Plans whose images are named by a web server, a bucket and a manifest."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.bucket import upload
from qa.workload.images import content
from qa.workload.module_options import module_options
from qa.workload.sources import qemu
from tests.cluster.commands import Commands, Report
from tests.cluster.importing import Place, place  # noqa: F401 - a fixture


@pytest.fixture
def folder(place: Place) -> Path:  # noqa: F811
    """A folder of its own on the web server."""
    made = place.folder / f"lists-{time.time_ns()}"
    made.mkdir()
    return made


def make(file: Path, seed: int) -> bytes:
    """A compressed qcow2 file, or a raw one; returns the disk in it."""
    disk = bytes([seed]) * 300_000 + bytes(1 << 20) + b"end." * 1024
    disk += bytes(-len(disk) % 512)
    raw = file.with_suffix(".tmp")
    raw.write_bytes(disk)
    if file.suffix == ".raw":
        raw.rename(file)
    else:
        qemu("img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(file))
        raw.unlink()
    return disk


@pytest.fixture
def keys(cluster: Cluster) -> "Iterator[dict[str, str]]":
    """References to the keys of the object gateway, which may be sent to it."""
    if not cluster.layout.s3.exists():
        pytest.skip("the cluster has no object gateway")
    access = cluster.s3()
    names = {name: f"rbd/migration-source/lists-{name}" for name in ("access_key", "secret_key")}
    for name, key in names.items():
        cluster.ceph("config-key", "set", key, access[name])
    with module_options(
        cluster, import_hosts="127.0.0.0/8,localhost", import_config_keys_over_http="true"
    ):
        time.sleep(1)  # the options reach the manager
        yield {name: f"config://{key}" for name, key in names.items()}
    for key in names.values():
        cluster.ceph("config-key", "rm", key)


def lists(place: Place, folder: Path, cluster: Cluster, keys: "dict[str, str]") -> "list[Any]":  # noqa: F811
    """A web page, a bucket with a prefix, a manifest on the server and one in the plan."""
    page = place.http.url(f"/{folder.name}/", "localhost")
    stream = upload(folder / "ex.qcow2", cluster.s3(), folder.name)
    return [
        {
            "folder": {"type": "http", "url": page},
            "type": "qcow",
            "name": "*.qcow2",
            "exclude": ["ex*"],
            "method": "copy",
        },
        {
            "folder": {**stream, **keys, "url": stream["url"].replace("ex.qcow2", "e")},
            "type": "qcow",
            "method": "copy",
        },
        {"manifest": {"type": "http", "url": f"{page}list.csv"}},
        {"type": "raw", "manifest": f"source,target\n{folder}/own.raw,mine\n"},
    ]


def test_a_plan_takes_its_images_from_lists_and_keeps_them(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    place: Place,  # noqa: F811
    folder: Path,
    keys: "dict[str, str]",
    tmp_path: Path,
) -> None:
    files = ("web 1.qcow2", "db.qcow2", "ex.qcow2", "listed.raw", "own.raw")
    disks = {name: make(folder / name, seed) for seed, name in enumerate(files, 1)}
    (folder / "list.csv").write_text("source,type,method\nlisted.raw,raw,copy\n")
    plan, file = f"lists-{time.time_ns()}", tmp_path / "plan.json"
    plain = {
        "plan": plan,
        "map": {"target_pool": pools[1], "name": "in-{name}"},
        "lists": lists(place, folder, cluster, keys),
    }
    file.write_text(json.dumps(plain), encoding="utf-8")
    migration.text("plan", "create", "-i", str(file))
    checked = migration.ask("plan check", plan=plan)
    assert checked["ok"], checked
    assert checked["total"] == len(files)
    migration.ask("plan start", plan=plan)
    make(folder / "late.qcow2", 9)  # it is no part of the plan any more
    (folder / "list.csv").write_text("source,type\nnone.raw,raw\n")

    def done() -> "Report | None":
        found: Report = migration.ask("plan show", plan=plan)
        return found if found["state"] == "done" else None

    shown = cluster.wait_for(done, 60, f"{plan}: done")
    assert {item["target"].split("/")[1]: item["method"] for item in shown["items"]} == {
        "in-web 1": "copy",
        "in-db": "copy",
        "in-ex": "copy",
        "in-listed": "copy",
        "mine": "live",
    }
    for name, disk in disks.items():
        target = "mine" if name == "own.raw" else f"in-{Path(name).stem}"
        assert content(client, f"{pools[1]}/{target}") == disk, name
    assert f"*.qcow2 of {place.http.url(f'/{folder.name}/', 'localhost')}" in shown["selects"][0]
    migration.ask("plan rm", plan=plan)


def test_a_bucket_in_the_name_of_the_host(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    folder: Path,
    keys: "dict[str, str]",
    tmp_path: Path,
) -> None:
    """The gateway takes a host that is not its own for a bucket of that name."""
    disk = make(folder / "hosted.qcow2", 7)
    stream = upload(folder / "hosted.qcow2", cluster.s3(), "localhost")
    here = stream["url"].replace("127.0.0.1", "localhost").rpartition("/localhost/")[0]
    listed = {**stream, **keys, "url": f"{here}/ho", "addressing_style": "virtual"}
    plan, file = f"hosted-{time.time_ns()}", tmp_path / "plan.json"
    plain = {
        "plan": plan,
        "map": {"target_pool": pools[1]},
        "lists": [{"folder": {**listed, "region": "default"}, "type": "qcow", "method": "copy"}],
    }
    file.write_text(json.dumps(plain), encoding="utf-8")
    migration.text("plan", "create", "-i", str(file))
    checked = migration.ask("plan check", plan=plan)
    assert (checked["ok"], checked["total"]) == (True, 1), checked
    migration.ask("plan start", plan=plan)

    def done() -> bool:
        return bool(migration.ask("plan show", plan=plan)["state"] == "done")

    cluster.wait_for(done, 60, f"{plan}: done")
    assert content(client, f"{pools[1]}/hosted") == disk
    migration.ask("plan rm", plan=plan)


def test_a_list_that_cannot_be_read_leaves_the_plan_a_draft(
    migration: Commands,
    pools: "tuple[str, str]",
    place: Place,  # noqa: F811
    folder: Path,
    tmp_path: Path,
) -> None:
    plan, file = f"lists-{time.time_ns()}", tmp_path / "plan.json"
    page = place.http.url(f"/{folder.name}/none/", "localhost")
    given = {"folder": {"type": "http", "url": page}, "type": "qcow"}
    plain = {"plan": plan, "map": {"target_pool": pools[1]}, "lists": [given]}
    file.write_text(json.dumps(plain), encoding="utf-8")
    migration.text("plan", "create", "-i", str(file))
    said = f"has no {page} (HTTP 404)"
    assert said in migration.ask("plan check", plan=plan)["problem"]
    assert said in migration.refused(2, "plan", "start", plan)
    assert migration.ask("plan show", plan=plan)["state"] == "draft"
    given["folder"] = {"type": "file", "file_path": "/etc"}
    file.write_text(json.dumps(plain), encoding="utf-8")
    migration.text("plan", "apply", "-i", str(file))
    assert "open to imports" in migration.refused(1, "plan", "start", plan)
    migration.ask("plan rm", plan=plan)
